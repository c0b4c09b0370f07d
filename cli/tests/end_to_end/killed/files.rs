//! From files to files.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::{bytes_of, killed_and_restarted};
use crate::common::{TestDir, names, uci};

const RECORDS: usize = 12_000;

/// Gaps are filled over the ends of files, each fortieth row is none.
const PIPELINE: &str = r#"name = "job"

[source]
type = "csv"
path = "data/*.csv"
delimiter = ";"
decimal = ","
missing = [-200]
timestamp = { columns = ["Date", "Time"], format = "%d/%m/%Y %H.%M.%S" }
timezone = "+01:00"
key = { name = "station", value = "uci" }
fields = ["CO(GT)", "NOx(GT)", "NO2(GT)", "T", "RH", "AH"]

[[transform]]
type = "impute"
steps = [{ method = "forward_fill", limit = 1 }, { method = "backward_fill", limit = 2 }, { method = "median" }]

[[transform]]
type = "range_check"
ranges = { "NOx(GT)" = { min = 0.0, max = 1000.0 } }

[[transform]]
type = "score"

[sink]
type = "csv"
dir = "out"
batch_size = 50
batch_timeout_secs = 3600

[dead_letter]
type = "ndjson"
dir = "dead"
"#;

/// Two files that are one series, each fortieth row cut off.
fn setup() -> TestDir {
    let dir = TestDir::with(&[("job.toml", PIPELINE)]);
    let text = uci(RECORDS);
    let (header, rows) = text.split_once("\r\n").expect("a header");
    let mut files = [String::from(header) + "\r\n", String::from(header) + "\r\n"];
    for (index, row) in rows.split_terminator("\r\n").enumerate() {
        let cut = if index % 40 == 39 && index < RECORDS { &row[..row.len() / 2] } else { row };
        files[index / (RECORDS / 2 + 7)].push_str(cut);
        files[index / (RECORDS / 2 + 7)].push_str("\r\n");
    }
    dir.write("data/1.csv", &files[0]);
    dir.write("data/2.csv", &files[1]);
    dir
}

/// Dead letters without the time at which they were written.
fn dead_letters(dir: &TestDir) -> BTreeMap<String, Vec<Value>> {
    let read = |name: String| {
        let lines = dir.read(&format!("dead/{name}"));
        let mut dead_letters: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for dead_letter in &mut dead_letters {
            dead_letter.as_object_mut().and_then(|dead_letter| dead_letter.remove("time")).expect("a time");
        }
        (name, dead_letters)
    };
    dir.files("dead").into_iter().map(read).collect()
}

#[test]
fn a_run_killed_at_random_moments_leaves_the_files_of_a_run_left_alone_to_the_byte() {
    let alone = setup();
    alone.run(&["run", "job.toml"]).expect(0, &["job: read 12000, written 11700, dead letters 300,"]);
    assert_eq!(alone.files("out").len(), RECORDS / 50);

    let dir = setup();
    // A reader that looks at the directory all the time: what it sees of a name is all that will ever be there.
    let over = AtomicBool::new(false);
    let (seen, (killed, last)) = std::thread::scope(|scope| {
        let reader = scope.spawn({
            let (dir, over) = (&dir, &over);
            move || {
                let mut seen = BTreeMap::new();
                while !over.load(Ordering::Acquire) {
                    for name in names(&dir.path("out")).into_iter().filter(|name| !name.starts_with('.')) {
                        let read = |path| std::fs::read(path).expect("what is there stays");
                        let path = dir.path("out").join(&name);
                        seen.entry(name).or_insert_with(|| read(path));
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                seen
            }
        });
        let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // A pace, so that no machine is too fast for the kills: more than a second in all.
            let paced = "source.replay={ interval_secs = 0.01, records_per_step = 100 }";
            killed_and_restarted(&dir, &["run", "job.toml", "--set", paced], (10, 150), 30)
        }));
        over.store(true, Ordering::Release);
        let seen = reader.join().expect("a reader");
        (seen, end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    eprintln!("killed {killed} times; {} files were seen under way", seen.len());
    assert!(killed >= 2, "it was too fast to be killed");
    // A run that was killed on its way out has nothing left to do.
    let ends = ["going on after ", "nothing to do"];
    assert!(ends.iter().any(|end| last.err.contains(end)), "{}", last.err);

    assert_eq!(dir.rows("out"), alone.rows("out"));
    let (expected, found) = (bytes_of(&alone, "out"), bytes_of(&dir, "out"));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(found == expected, "the same names, other bytes");
    for (name, bytes) in &seen {
        if name == "datapackage.json" {
            serde_json::from_slice::<serde_json::Value>(bytes).expect("a whole description");
            continue;
        }
        assert!(expected.get(name) == Some(bytes), "{name} was seen before it was whole");
    }
    assert_eq!(dead_letters(&dir), dead_letters(&alone));
    assert_eq!(dead_letters(&dir).values().map(Vec::len).sum::<usize>(), RECORDS / 40);
    assert!(dir.temporary_files("out").is_empty() && dir.temporary_files("dead").is_empty());
}

#[test]
fn a_stop_drains_and_commits_and_the_next_start_goes_on_to_the_same_files() {
    let alone = setup();
    // Files end where a run was stopped, so that only their rows are the same.
    alone.run(&["run", "job.toml"]).expect(0, &[]);
    let dir = setup();
    let slow = ["run", "job.toml", "--set", "source.replay={ interval_secs = 0.02, records_per_step = 30 }"];
    for round in 0..3 {
        let mut running = dir.start(&slow);
        let before = dir.files("out").len();
        running.wait_until("three more files", |_| dir.files("out").len() >= before + 3);
        running.terminate();
        let done = running.wait().expect(
            0,
            &[
                "stopping: reading ends, what was read is committed; a second signal ends at once\n",
                "job: stopped; the next start goes on from here\n",
            ],
        );
        assert_eq!(done.err.contains("going on after "), round > 0, "{}", done.err);
        assert!(dir.temporary_files("out").is_empty(), "a stop leaves nothing unfinished");
        let (_, message) = done.err.split_once("job: read ").expect("a summary");
        let (read, _) = message.split_once(',').expect("a number");
        assert!(read.parse::<usize>().expect("a number") >= 150, "what was read is committed: {}", done.err);
    }
    dir.run(&["run", "job.toml"]).expect(0, &["going on after ", "job: done\n"]);
    assert_eq!(dir.rows("out"), alone.rows("out"), "fills, scores and order too");
    let sorted = |dir: &TestDir| dead_letters(dir).into_values().flatten().collect::<Vec<_>>();
    assert_eq!(sorted(&dir), sorted(&alone));
}

#[test]
fn a_second_signal_ends_at_once_a_run_that_cannot_drain() {
    let dir = setup();
    let (start, _) = PIPELINE.split_once("[sink]").expect("there");
    dir.write(
        "out.toml",
        format!("{start}[sink]\ntype = \"stdout\"\n\n[dead_letter]\ntype = \"ndjson\"\ndir = \"dead\"\n"),
    );
    // Nobody reads what it writes: it waits for room in the pipe.
    let mut running = dir.start_unread(&["run", "out.toml"]);
    running.wait_for_log("read the whole input once before the run");
    std::thread::sleep(Duration::from_millis(500));
    running.terminate();
    running.wait_for_log("stopping: reading ends");
    std::thread::sleep(Duration::from_millis(500));
    assert!(running.is_running(), "it drains as long as there is hope: {}", running.err());
    running.terminate();
    running.wait().expect(1, &["stopped at once; the next start goes on from the last commit\n"]);
}
