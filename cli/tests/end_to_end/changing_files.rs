//! Input files that are respelled, renamed, gone or rewritten between two starts, or while they are read.

use crate::common::{House, uci};

const SOURCE: &str = r#"[source]
type = "csv"
path = "in.csv"
delimiter = ";"
decimal = ","
missing = [-200]
timestamp = { columns = ["Date", "Time"], format = "%d/%m/%Y %H.%M.%S" }
key = { name = "station", value = "uci" }
fields = ["CO(GT)", "NOx(GT)", "T"]
"#;
const FILES: &str = "\n[sink]\ntype = \"csv\"\ndir = \"out\"\nbatch_size = 20\n";
const SLOW: [&str; 2] = ["--set", "source.replay={ interval_secs = 0.02, records_per_step = 10 }"];
const RUN: [&str; 2] = ["run", "job.toml"];

fn house(records: usize) -> House {
    let house = House::with(&[("job.toml", &format!("name = \"job\"\n\n{SOURCE}{FILES}"))]);
    house.write("in.csv", uci(records));
    house
}

/// Runs the job until it has written some files, and stops it.
fn interrupt(house: &House, more: &[&str]) {
    let mut running = house.start(&[&RUN[..], &SLOW, more].concat());
    running.until("two files", |_| house.files("out").len() >= 2);
    running.terminate();
    running.wait().expect(0, &["job: stopped; the next start goes on from here\n"]);
    assert!(house.rows("out").len() < 500, "it was too fast to be interrupted");
}

#[test]
fn a_path_that_is_spelt_otherwise_is_the_same_file() {
    let house = house(600);
    std::os::unix::fs::symlink(house.path("."), house.path("link")).expect("links");
    let absolute = house.path("in.csv").to_string_lossy().into_owned();
    for path in ["./in.csv", &absolute, "link/in.csv", "i*.csv"] {
        interrupt(&house, &[]);
        let committed = house.rows("out").len();
        let set = format!("source.path={path}");
        house.run(&[&RUN[..], &["--set", &set]].concat()).expect(
            0,
            &[&format!("going on after {committed} records of an earlier run"), &format!("read {},", 600 - committed)],
        );
        assert_eq!(house.rows("out").len(), 600, "{path}");
        std::fs::remove_dir_all(house.path("out")).expect("removed");
        std::fs::remove_dir_all(house.path(".aqpipe")).expect("removed");
    }
}

#[test]
fn a_file_that_was_renamed_is_read_on_and_that_is_said() {
    let house = house(600);
    interrupt(&house, &["--set", "source.path=*.csv"]);
    std::fs::rename(house.path("in.csv"), house.path("moved.csv")).expect("renamed");
    house
        .run(&[&RUN[..], &["--set", "source.path=*.csv"]].concat())
        .expect(0, &["moved.csv is in.csv of the interrupted run, renamed: it is read on from where that stood\n"]);
    assert_eq!(house.rows("out").len(), 600);
}

#[test]
fn a_file_that_is_gone_with_its_held_rows_stops_the_run_until_it_is_back() {
    let house = house(600);
    house.write("other.csv", uci(600));
    let hold = "transform=[{type=\"impute\",steps=[{method=\"interpolate\"}]}]";
    let all = ["--set", "source.path=*.csv", "--set", "source.parallel=true", "--set", hold];
    interrupt(&house, &all);
    let files = house.files("out");
    std::fs::rename(house.path("in.csv"), house.path("in.away")).expect("renamed");
    let gone = house.run(&[&RUN[..], &all].concat()).expect(
        78,
        &["csv: in.csv is gone: the interrupted run had read it up to line ", "help: put it back (", "`--fresh`"],
    );
    assert_eq!(house.files("out"), files, "nothing was committed: {}", gone.err);
    std::fs::rename(house.path("in.away"), house.path("in.csv")).expect("renamed");
    house.run(&[&RUN[..], &all].concat()).expect(0, &["job: done\n"]);
    assert_eq!(house.rows("out").len(), 1_200);
}

#[test]
fn a_file_that_is_rewritten_while_it_is_read_does_not_end_with_done() {
    let house = house(600);
    let mut running = house.start(&[&RUN[..], &SLOW].concat());
    running.until("two files", |_| house.files("out").len() >= 2);
    // In place, and as long as it was.
    house.write("in.csv", uci(600).replacen("10/03/2004", "10/03/2003", 1));
    let done = running.wait().expect(1, &["csv: in.csv was changed while it was read"]);
    assert!(!done.err.contains("job: done"), "{}", done.err);
}

#[test]
fn a_letter_is_replayed_with_the_columns_that_it_had() {
    let job = "name = \"job\"\n\n[source]\ntype = \"csv\"\npath = \"in.csv\"\nfields = [\"T\", \"RH\"]\n\n\
               [[transform]]\ntype = \"range_check\"\non_fail = \"reject\"\nranges = { \"T\" = { max = 50.0 } }\n\n\
               [sink]\ntype = \"csv\"\ndir = \"out\"\n\n[dead_letter]\ntype = \"ndjson\"\ndir = \"dead\"\n";
    let house = House::with(&[("job.toml", job), ("in.csv", "timestamp,T,RH\n2004-03-10,60,40\n2004-03-11,10,45\n")]);
    house.run(&RUN).expect(0, &["read 2, written 1, dead letters 1,"]);
    let letters = house.letters("dead");
    assert_eq!(letters[0]["place"], "in.csv:2", "a line, for a person");
    assert_eq!(letters[0]["form"]["columns"], serde_json::json!(["timestamp", "T", "RH"]));
    assert!(house.files("dead")[0].starts_with("job_"), "the files are called after the pipeline");
    // Since then the columns have changed places.
    house.write("in.csv", "timestamp,RH,T\n");
    let wider = ["dead-letters", "replay", "job.toml", "--set", "transform.range_check.ranges.T.max=100.0"];
    house.run(&wider).expect(0, &["had other columns than the files have now", "read 1, written 1, dead letters 0,"]);
    let rows = house.rows("out");
    assert_eq!((rows.numbers("T"), rows.numbers("RH")), (vec![60.0, 10.0], vec![40.0, 45.0]));
}
