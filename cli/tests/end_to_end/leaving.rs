//! Members that leave their group while it rebalances.

use std::time::Duration;

use crate::common::{Kafka, TestDir};

const PARTITIONS: u16 = 60;
/// How often two members leave at nearly the same time: in one of some four of these times the group gives the second one
/// partitions that it does not take any more.
const TIMES: u64 = 10;

#[test]
#[ignore = "needs Apache Kafka"]
fn a_member_that_stops_while_it_is_given_partitions_comes_to_its_end() {
    let kafka = Kafka::from_env();
    let topic = kafka.name("leaving");
    let source = "[source]\ntype = \"sample\"\nrecords = 600\nstations = 200\n";
    let options = "key = \"station\"\nsession_timeout_secs = 2\nassignment = \"cooperative\"\n";
    let sink = "[sink]\ntype = \"csv\"\ndir = \"out\"\n";
    let dir = TestDir::with(&[
        ("fill.toml", &format!("name = \"fill\"\n\n{source}{}", kafka.sink(&topic, PARTITIONS))),
        ("job.toml", &format!("name = \"job\"\n\n{}{sink}", kafka.source(&topic, options))),
    ]);
    dir.run(&["run", "fill.toml"]).expect(0, &[]);
    for time in 0..TIMES {
        let group = format!("source.group={}-{time}", kafka.name("leaving"));
        let (name, out) = (format!("name=job{time}"), format!("sink.dir=out{time}"));
        let run = ["run", "job.toml", "--set", &group, "--set", &name, "--set", &out];
        let (mut stays, mut goes) = (dir.start(&run), dir.start(&run));
        for running in [&mut stays, &mut goes] {
            running.wait_for_log("assigned: ");
        }
        std::thread::sleep(Duration::from_secs(1));
        goes.terminate();
        std::thread::sleep(Duration::from_millis(100 + 80 * time));
        stays.terminate();
        for running in [goes, stays] {
            running.wait().expect(0, &["stopped; the next start goes on from here"]);
        }
    }
}
