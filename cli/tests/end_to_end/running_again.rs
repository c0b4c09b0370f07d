//! Running a pipeline again: after it completed, after it was interrupted, afresh.

use crate::common::{Kafka, NDJSON_DEAD_LETTERS, TestDir, UCI_SOURCE, uci};

const CHECK: &str = "\n[[transform]]\ntype = \"range_check\"\nranges = { \"NOx(GT)\" = { min = 0.0, max = 1000.0 } }\n";
const FILES: &str = "\n[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 20\n";
const SLOW: [&str; 2] = ["--set", "source.replay={ interval_secs = 0.02, records_per_step = 10 }"];
const RUN: [&str; 2] = ["run", "job.toml"];

fn setup(records: usize) -> TestDir {
    let dir = TestDir::with(&[("job.toml", &format!("name = \"job\"\n\n{UCI_SOURCE}{CHECK}{FILES}"))]);
    dir.write("in.csv", uci(records));
    dir
}

/// Runs the job until it has written some files, and stops it.
fn interrupt(dir: &TestDir) {
    let mut running = dir.start(&[&RUN[..], &SLOW].concat());
    running.wait_until("two files", |_| dir.files("out").len() >= 2);
    running.terminate();
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
    assert!(dir.rows("out").len() < 500, "it was too fast to be interrupted");
}

#[test]
fn a_completed_run_is_not_repeated_where_nothing_was_changed_that_decides_what_comes_out() {
    let dir = setup(100);
    dir.run(&RUN).expect(0, &["job: read 100, written 100,"]);
    let files = dir.files("out");
    let unchanged: [&[&str]; 5] = [
        &[],
        &["--set", "sink.batch_size=50", "--set", "sink.batch_timeout_secs=1"],
        &["--set", "source.replay={ interval_secs = 0.0 }"],
        // What the default is.
        &["--set", "source.timezone=UTC"],
        &["--set", "monitor.every_secs=1", "--set", "log.level=debug"],
    ];
    for options in unchanged {
        dir.run(&[&RUN[..], options].concat()).expect(
            0,
            &[
                "the last run carried the whole input (100 records) and nothing that decides what comes out was changed \
                 since: nothing to do. `--rerun` carries it once more\n",
                "job: nothing to do\n",
            ],
        );
        assert_eq!(dir.files("out"), files);
    }
}

#[test]
fn a_completed_run_says_how_its_input_differs_now_and_is_repeated_for_another_input_only() {
    let dir = setup(100);
    dir.run(&RUN).expect(0, &["job: read 100, written 100,"]);
    let (files, text) = (dir.files("out"), dir.read("in.csv"));
    // The same file, however its path is spelt.
    let absolute = format!("source.path={}", dir.path("in.csv").display());
    for path in ["source.path=./in.csv", "source.path=i*.csv", &absolute] {
        dir.run(&[&RUN[..], &["--set", path]].concat()).expect(0, &["job: nothing to do\n"]);
    }
    dir.write("in.csv", text.clone() + "10/03/2005;18.00.00;2,6;150;13,6\r\n");
    dir.run(&RUN)
        .expect(0, &["nothing to do. The input has changed: in.csv has 34 bytes more.", "job: nothing to do\n"]);
    dir.write("in.csv", text.replacen("10/03/2004", "11/03/2003", 1));
    dir.run(&RUN).expect(0, &["nothing to do. The input has changed: ", "job: nothing to do\n"]);
    dir.write("in.csv", &text);
    dir.write("other.csv", uci(50));
    let other = [&RUN[..], &["--set", "source.path=other.csv"]].concat();
    dir.run(&other).expect(78, &["this sink does not overwrite (the input is another one)\n"]);
    assert_eq!(dir.files("out"), files);
}

#[test]
fn a_completed_run_into_files_refuses_to_be_repeated_and_names_the_way_out() {
    let dir = setup(100);
    dir.run(&RUN).expect(0, &["job: read 100, written 100,"]);
    let (files, rows) = (dir.files("out"), dir.rows("out"));
    let changed = [&RUN[..], &["--set", "transform.range_check.ranges.\"NOx(GT)\".max=100.0"]].concat();
    dir.run(&changed).expect(78, &["this sink does not overwrite (options were changed since)\n"]);
    let done = dir.run(&[&RUN[..], &["--rerun"]].concat()).expect(
        78,
        &[
            "error: job: csv: the last run of `job` carried the whole input, and its 100 records are there: this sink \
             does not overwrite (`--rerun` asks for it)\n",
            "help: `--fresh` removes the output that this pipeline wrote and starts from the beginning\n",
        ],
    );
    assert_eq!((dir.files("out"), dir.rows("out")), (files, rows), "{}", done.err);
}

#[test]
fn generated_readings_do_not_go_on_where_measured_ones_were_interrupted() {
    let dir = setup(500);
    interrupt(&dir);
    let before = dir.rows("out");
    std::fs::rename(dir.path("in.csv"), dir.path("elsewhere.csv")).expect("renamed");
    let sample = ["run", "job.toml", "--sample", "--set", "source.sample_if_missing=true"];
    let done = dir.run(&sample);
    assert!(done.code.is_some_and(|code| code != 0), "{}", done.err);
    assert_eq!(dir.rows("out"), before, "{}", done.err);
    std::fs::rename(dir.path("elsewhere.csv"), dir.path("in.csv")).expect("renamed");
    dir.run(&sample).expect(0, &["job: done\n"]);
    assert_eq!(dir.rows("out").len(), 500, "the file is there again and is read on");
}

#[test]
fn fresh_removes_what_the_pipeline_wrote_and_nothing_else_and_starts_from_the_beginning() {
    let dir = setup(200);
    dir.write("out/notes.txt", "mine");
    dir.write("out/air_quality_batch_notes.csv", "mine too\n");
    dir.run(&RUN).expect(0, &[]);
    let before = dir.files("out").len();
    dir.write("in.csv", uci(100));
    let set = ["--fresh", "--set", "transform.range_check.ranges.\"NOx(GT)\".max=100.0"];
    dir.run(&[&RUN[..], &set].concat()).expect(
        0,
        &["forgot positions, state and output: this run starts from the beginning\n", "read 100, written 100,"],
    );
    assert_eq!(dir.files("out").len(), before - 5, "five files less of twenty records");
    assert_eq!((&*dir.read("out/notes.txt"), &*dir.read("out/air_quality_batch_notes.csv")), ("mine", "mine too\n"));
    std::fs::remove_file(dir.path("out/air_quality_batch_notes.csv")).expect("removed");
    let rows = dir.rows("out");
    assert_eq!(rows.len(), 100);
    let failed = rows.column("qc_flags").iter().filter(|flags| flags.as_bytes()[2] == b'4').count();
    assert!(failed > 20, "the new threshold holds for all records: {failed}");
}

#[test]
fn fresh_does_not_remove_the_files_of_another_pipeline() {
    let dir = setup(40);
    dir.run(&RUN).expect(0, &[]);
    let files = dir.files("out");
    let other = [&RUN[..], &["--fresh", "--set", "name=other"]].concat();
    dir.run(&other)
        .expect(78, &["error: other: csv: the files `air_quality_batch_*` in `out` belong to the pipeline `job`\n"]);
    assert_eq!(dir.files("out"), files);
}

#[test]
fn with_rerun_off_a_completed_run_has_nothing_to_do() {
    let dir = setup(100);
    let once = [&RUN[..], &["--set", "source.rerun=false"]].concat();
    dir.run(&once).expect(0, &["job: done\n", "read 100, written 100,"]);
    let files = dir.files("out");
    dir.run(&once)
        .expect(0, &["`rerun` is \"never\": nothing to do.", "job: nothing to do\n", "job: read 0, written 0,"]);
    assert_eq!(dir.files("out"), files);
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let alone = setup(600);
    alone.run(&RUN).expect(0, &[]);
    let dir = setup(600);
    interrupt(&dir);
    let committed = dir.rows("out").len();
    let message = format!("going on after {committed} records of an earlier run\n");
    dir.run(&[&RUN[..], &SLOW].concat()).expect(0, &[&message]);
    assert_eq!(dir.rows("out"), alone.rows("out"));
}

#[test]
fn an_interrupted_run_goes_on_with_changed_options_and_says_so() {
    let dir = setup(600);
    interrupt(&dir);
    let committed = dir.rows("out").len();
    let set = ["--set", "transform.range_check.ranges.\"NOx(GT)\".max=100.0"];
    let message = format!("going on after {committed} records of an earlier run, with the options as they are now\n");
    dir.run(&[&RUN[..], &set].concat()).expect(0, &[&message]);
    let rows = dir.rows("out");
    assert_eq!(rows.len(), 600);
    let failed = |rows: &[&str]| rows.iter().filter(|flags| flags.as_bytes()[2] == b'4').count();
    let flags = rows.column("qc_flags");
    assert!(failed(&flags[..committed]) <= committed / 100 + 1, "written before the change");
    assert!(failed(&flags[committed..]) > (600 - committed) / 4, "written after it");
}

#[test]
fn an_interrupted_run_does_not_go_on_with_other_stages() {
    let dir = setup(600);
    interrupt(&dir);
    let files = dir.files("out");
    dir.write("job.toml", format!("name = \"job\"\n\n{UCI_SOURCE}{FILES}"));
    dir.run(&RUN).expect(
        78,
        &[
            "error: job: the stages are not those of the run that was interrupted: it had csv -> range_check -> csv, now \
             there are csv -> csv\n",
            "help: put the stages back to let that run end, or start from the beginning with `--fresh`\n",
        ],
    );
    assert_eq!(dir.files("out"), files);
    dir.run(&[&RUN[..], &["--fresh"]].concat()).expect(0, &["read 600, written 600,"]);
    assert_eq!(dir.rows("out").len(), 600);
}

#[test]
fn files_without_the_state_that_belongs_to_them_are_not_written_over() {
    let dir = setup(100);
    dir.run(&RUN).expect(0, &[]);
    std::fs::remove_dir_all(dir.path(".aqpipe")).expect("removed");
    let files = dir.files("out");
    let done = dir.run(&RUN).expect(
        78,
        &["error: job: csv: there is output of in.csv up to ", "`.aqpipe/job` does not know of it: it was removed"],
    );
    assert!(done.err.contains("`--fresh`"), "{}", done.err);
    assert_eq!(dir.files("out"), files);
}

#[test]
fn a_pipeline_does_not_go_on_in_another_place_and_a_respelt_place_is_the_same() {
    let dir = setup(600);
    interrupt(&dir);
    let files = dir.files("out");
    let elsewhere = [&RUN[..], &["--set", "sink.dir=other"]].concat();
    let refused = [
        "error: job: csv: the output of `job` went to the files `air_quality_batch_*` in `out`, and would go to the files \
         `air_quality_batch_*` in `other` now\n",
        "help: put that back, give the pipeline another `name`, under which it begins anew, or start from the beginning \
         with `--fresh`\n",
    ];
    dir.run(&elsewhere).expect(78, &refused);
    dir.run(&[&RUN[..], &["--set", "sink.prefix=more"]].concat()).expect(78, &["in `out` now\n"]);
    assert_eq!(dir.files("out"), files);
    assert!(!dir.path("other").exists());
    let out = format!("sink.dir={}", dir.path("./out/../out").display());
    dir.run(&[&RUN[..], &["--set", &out]].concat()).expect(0, &["going on after", "job: done\n"]);
    assert_eq!(dir.rows("out").len(), 600);
    dir.run(&elsewhere).expect(78, &["and would go to the files `air_quality_batch_*` in `other` now\n"]);
    let other = [&elsewhere[..], &["--set", "name=other"]].concat();
    dir.run(&other).expect(0, &["other: read 600, written 600,"]);
}

#[test]
fn output_that_is_gone_is_told() {
    let dir = setup(100);
    dir.run(&RUN).expect(0, &[]);
    std::fs::remove_dir_all(dir.path("out")).expect("removed");
    for _ in 0..2 {
        dir.run(&RUN).expect(
            0,
            &[
                "nothing is here of the files `air_quality_batch_*` in `out` that earlier runs wrote: 100 records were removed, \
                 or are on another machine. This run does not write them again; `--fresh` starts from the beginning\n",
                "job: nothing to do\n",
            ],
        );
    }
    dir.run(&[&RUN[..], &["--fresh"]].concat()).expect(0, &["read 100, written 100,"]);
    assert_eq!(dir.rows("out").len(), 100);
}

fn kafka_pipelines(kafka: &Kafka, topic: &str) -> TestDir {
    let dir = setup(300);
    let sink = kafka.sink(topic, 2);
    dir.write("producer.toml", format!("name = \"producer\"\n\n{UCI_SOURCE}{CHECK}{sink}"));
    let options = format!("group = \"{topic}\"\nsession_timeout_secs = 6\nkey = \"station\"\n");
    dir.write("consumer.toml", format!("name = \"consumer\"\n\n{}{FILES}", kafka.source(topic, &options)));
    dir
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_completed_run_into_kafka_sends_its_records_once_more_on_purpose_only_and_says_how_many() {
    let kafka = Kafka::from_env();
    let topic = kafka.name("again");
    let dir = kafka_pipelines(&kafka, &topic);
    let produce = ["run", "producer.toml"];
    dir.run(&produce).expect(0, &["producer: read 300, written 300,"]);
    // As a supervisor does, and with another form of what is sent.
    for options in [&[][..], &["--set", "sink.compression=zstd", "--set", "sink.linger_ms=1"]] {
        dir.run(&[&produce[..], options].concat()).expect(0, &["nothing to do. `--rerun` carries it once more\n"]);
    }
    assert_eq!(kafka.read(&topic).len(), 300);
    let more = |why: &str| format!("the last run wrote 300 records; they are written once more: {why}\n");
    dir.run(&["run", "producer.toml", "--rerun"]).expect(0, &[&more("`--rerun` asks for it"), "written 300,"]);
    dir.run(&produce).expect(0, &["nothing to do. `--rerun` carries it once more\n"]);
    let changed = ["run", "producer.toml", "--set", "transform.range_check.ranges.\"NOx(GT)\".max=100.0"];
    dir.run(&changed).expect(0, &[&more("options were changed since"), "written 300,"]);
    dir.run(&changed).expect(0, &["nothing to do. `--rerun` carries it once more\n"]);
    let always = [&changed[..], &["--set", "source.rerun=true"]].concat();
    dir.run(&always).expect(0, &[&more("`rerun = \"always\"` asks for it"), "written 300,"]);
    assert_eq!(kafka.read(&topic).len(), 1200);
    let once = [&changed[..], &["--set", "source.rerun=false"]].concat();
    dir.run(&once).expect(0, &["`rerun` is \"never\": nothing to do."]);
    assert_eq!(kafka.read(&topic).len(), 1200);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_run_again_into_kafka_keeps_the_dead_letters_of_both_runs() {
    let kafka = Kafka::from_env();
    let topic = kafka.name("again");
    let dir = kafka_pipelines(&kafka, &topic);
    dir.write("in.csv", uci(300).replace("11/03/2004;05.00.00;", "11/03/2004;no time;"));
    let text = dir.read("producer.toml") + NDJSON_DEAD_LETTERS;
    dir.write("producer.toml", text);
    for run in 1..=3 {
        dir.run(&["run", "producer.toml", "--rerun"]).expect(0, &["written 299, dead letters 1,"]);
        assert_eq!(dir.dead_letters("dead").len(), run);
    }
    assert_eq!(kafka.read(&topic).len(), 3 * 299);
}

#[test]
#[ignore = "needs Apache Kafka"]
fn a_consumer_just_goes_on_and_afresh_reads_all_again() {
    let kafka = Kafka::from_env();
    let topic = kafka.name("on");
    let dir = kafka_pipelines(&kafka, &topic);
    let (produce, consume) = (["run", "producer.toml"], ["run", "consumer.toml", "--until-end"]);
    dir.run(&produce).expect(0, &[]);
    dir.run(&consume).expect(0, &["consumer: read 300, written 300,"]);
    let files = dir.files("out");
    dir.run(&consume).expect(0, &["consumer: done\n", "consumer: read 0, written 0,"]);
    assert_eq!(dir.files("out"), files);
    dir.run(&[&produce[..], &["--rerun"]].concat()).expect(0, &[]);
    dir.run(&consume).expect(0, &["consumer: read 300, written 300,"]);
    assert_eq!(dir.rows("out").len(), 600);
    dir.run(&[&consume[..], &["--fresh"]].concat()).expect(0, &["consumer: read 600, written 600,"]);
    assert_eq!(dir.rows("out").len(), 600);
}
