//! Disks that are full or fail.

use super::{FILES, FILL, all_in_files, from_kafka, pipeline, producer};
use crate::common::{Kafka, SmallDisk, TestDir};

#[test]
#[ignore = "needs Apache Kafka and the right to mount a file system"]
fn a_full_disk_stops_a_consumer_and_once_there_is_room_it_completes_with_nothing_lost() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    let small = SmallDisk::mount(&dir);
    let files = FILES.replace("\"out\"", "\"small/out\"");
    dir.write("consumer.toml", pipeline("consumer", &[&from_kafka(&kafka, &topic), FILL, &files]));
    let run = ["run", "consumer.toml", "--until-end"];
    dir.run(&run).expect(1, &["No space left on device", "help: make room there, then run again\n"]);
    assert_eq!(dir.rows("small/out").len() % 100, 0, "each visible file is whole");
    small.enlarge();
    dir.run(&run).expect(0, &["consumer: done\n"]);
    all_in_files(&dir, "small/out");
}

#[test]
#[ignore = "needs the right to mount a file system"]
fn a_full_disk_that_ends_a_pipeline_is_counted_as_an_error_of_its_sink() {
    let dir = TestDir::new();
    let _small = SmallDisk::mount(&dir);
    let source = "[source]\ntype = \"sample\"\nrecords = 20000\n";
    let files = "[sink]\ntype = \"csv\"\ndir = \"small/out\"\n";
    dir.write("full.toml", format!("name = \"full\"\n{source}{files}"));
    let paced = source.replace("20000", "100000\nreplay = { interval_secs = 1.0 }");
    dir.write("other.toml", format!("name = \"other\"\n{paced}[sink]\ntype = \"null\"\n"));
    let mut run = dir.start(&["run", "full.toml", "other.toml", "--http", "127.0.0.1:0"]);
    let url = crate::served::address(&mut run);
    run.wait_for_log("No space left on device");
    let counted = "\naqpipe_errors_total{pipeline=\"full\",stage=\"csv\",class=\"disk_full\"} 1\n";
    let begin = std::time::Instant::now();
    loop {
        let metrics =
            ureq::get(format!("{url}/metrics")).call().expect("an answer").body_mut().read_to_string().expect("a body");
        if metrics.contains(counted) {
            break;
        }
        assert!(begin.elapsed() < std::time::Duration::from_secs(60), "{metrics}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    run.terminate();
    run.wait();
}

/// A disk that fails at a step: the run stops with the reason, and the next one leaves what a run left alone leaves.
#[cfg(debug_assertions)]
#[test]
#[ignore = "needs Apache Kafka"]
fn a_disk_that_fails_at_any_step_stops_the_run_and_the_next_one_completes_with_nothing_lost() {
    let kafka = Kafka::from_env();
    let (dir, topic) = producer(&kafka);
    dir.run(&["run", "job.toml"]).expect(0, &[]);
    for (index, fault) in
        ["prepare.sync=error@3", "ledger.write=error@2", "ledger.sync=error@2", "finish.rename=error@2"]
            .iter()
            .enumerate()
    {
        let (name, out) = (format!("disk-{index}"), format!("out-{index}"));
        let files = FILES.replace("\"out\"", &format!("\"{out}\""));
        dir.write(&format!("{name}.toml"), pipeline(&name, &[&from_kafka(&kafka, &topic), FILL, &files]));
        let run = ["run", &format!("{name}.toml"), "--until-end"];
        let failed = dir.run_with_fault(&run, fault).expect(1, &["error: "]);
        assert!(failed.err.contains("os error 5"), "{fault}\n{}", failed.err);
        dir.run(&run).expect(0, &[]);
        all_in_files(&dir, &out);
    }
}
