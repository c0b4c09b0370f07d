//! Alerts of a run, in its log and at those who are told.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::common::TestDir;

const JOB: &str = r#"
name = "job"

[source]
type = "csv"
path = "in.csv"
decimal = "."
key = { columns = ["station"] }
timestamp = { columns = ["time"] }
fields = ["CO", "T"]

[[transform]]
type = "range_check"
ranges = { "T" = { min = -50.0, max = 60.0 } }

[[transform]]
type = "score"

[sink]
type = "csv"
dir = "out"
batch_timeout_secs = 1
"#;

/// Rows of two stations: one has good values, the other none that is good and many that are missing.
fn rows(first: usize, bad: usize, good: usize) -> String {
    let mut text = String::new();
    for row in first..first + bad + good {
        let (day, hour) = (1 + row / 24, row % 24);
        let (station, co, t) = if row < first + bad { ("b", "", "99") } else { ("a", "1.5", "20") };
        let (month, day) = (1 + day / 28, 1 + day % 28);
        text.push_str(&format!(
            "{station},20{:02}-{:02}-{day:02}T{hour:02}:00:00Z,{co},{t}\n",
            10 + month / 12,
            1 + month % 12
        ));
    }
    text
}

fn setup(monitor: &str, bad: usize, good: usize) -> TestDir {
    let dir = TestDir::with(&[("job.toml", &format!("{JOB}{monitor}"))]);
    dir.write("in.csv", format!("station,time,CO,T\n{}", rows(0, bad, good)));
    dir
}

/// A web hook on loopback that is out of order at first, and what it is told.
fn webhook() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, told) = channel();
    std::thread::spawn(move || {
        for (request, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            let mut reader = BufReader::new(&stream);
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            let status = if request == 0 { 500 } else { 200 };
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = (&stream).write_all(answer.as_bytes());
            if status == 200 && sender.send(serde_json::from_slice(&body).expect("JSON")).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}/geheim"), told)
}

#[test]
fn a_run_that_ends_is_judged_at_its_end_and_those_who_asked_are_told() {
    let (url, told) = webhook();
    let monitor = format!(
        "[monitor.alerts]\nmissing_share = 0.5\nsilent_after = \"1d\"\n\n\
         [[monitor.notify]]\ncommand = [\"sh\", \"-c\", 'cat >> told']\n\n\
         [[monitor.notify]]\nwebhook = \"{url}\"\nalerts = [\"silent_after\"]\n\n\
         [[monitor.notify]]\ncommand = [\"sh\", \"-c\", 'echo out of order >&2; exit 3']\nalerts = [\"quality\"]\n"
    );
    let dir = setup(&monitor, 300, 100);
    let parts = [
        "the mean score of 400 records over the whole run is ",
        "; `quality` in [monitor.alerts] asks for 0.700: ",
        "300 of 400 cells of `CO` over the whole run (75.0 %) have no measured value: 300 are missing, 0 filled; \
         `missing_share` in [monitor.alerts] allows 50.0 %: ",
        "the newest reading of station `b` is of ",
        "the command 3 (`sh`) was not told that the alert `quality` is firing: exit status: 3: out of order",
        "  field  observed  filled  unreadable  missing  good  suspect  fail  not checked\n\
         \x20 CO          100       0           0      300     0        0     0          100\n\
         \x20 T           400       0           0        0   100        0   300            0\n",
    ];
    let run = dir.run(&["run", "job.toml"]).expect(0, &parts);
    let (alert, end) =
        (run.err.find("over the whole run").expect("there"), run.err.find("job: read 400").expect("there"));
    assert!(alert < end, "before the summary:\n{}", run.err);
    assert!(!run.err.contains("geheim") && !run.err.contains("resolved"), "{}", run.err);
    let lines: Vec<Value> =
        dir.read("told").lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let alerts: Vec<_> = lines.iter().map(|line| line["alert"].as_str().expect("a name")).collect();
    assert_eq!(alerts, ["quality", "silent_after", "missing_share"]);
    assert_eq!((&lines[0]["pipeline"], &lines[0]["state"]), (&"job".into(), &"firing".into()));
    assert_eq!((&lines[2]["subject"], &lines[2]["limit"]), (&"CO".into(), &0.5.into()));
    let told: Vec<Value> = told.try_iter().collect();
    assert_eq!(told, [lines[1].clone()], "once it is in order again");
}

#[test]
fn without_monitoring_nobody_is_told_and_the_summary_stays() {
    let dir = setup("[[monitor.notify]]\ncommand = [\"sh\", \"-c\", 'cat >> told']\n", 300, 100);
    let run =
        dir.run(&["run", "job.toml", "--no-monitoring"]).expect(0, &["job: read 400, written 400,", "not checked\n"]);
    assert!(!run.err.contains("[monitor.alerts]") && !dir.path("told").exists(), "{}", run.err);
}

#[test]
fn an_alert_of_an_endless_run_fires_with_bad_data_and_is_resolved_by_good_data() {
    let monitor = "[monitor]\nevery_secs = 1\n\n[monitor.alerts]\nwindow_secs = 1\n\n\
                   [[monitor.notify]]\ncommand = [\"sh\", \"-c\", 'echo \"$AQPIPE_ALERT $AQPIPE_STATE\" >> told']\n";
    let dir = setup(monitor, 10, 0);
    let mut running = dir.start(&["run", "job.toml", "--set", "source.follow=true"]);
    let mut file = OpenOptions::new().append(true).open(dir.path("in.csv")).expect("opens");
    let mut row = 10;
    let mut add = |bad: usize, good: usize| {
        file.write_all(rows(row, bad, good).as_bytes()).expect("writes");
        row += bad + good;
    };
    running.wait_until("the alert", |err| {
        add(1, 0);
        err.contains("; `quality` in [monitor.alerts] asks for 0.700: ")
    });
    running.wait_until("its end", |err| {
        add(0, 1);
        err.contains(", as it should be; `quality` in [monitor.alerts] asks for 0.700")
    });
    running.wait_for_log("/s written; ");
    running.terminate();
    let done = running.wait().expect(0, &[" read, ", " committed, "]);
    assert_eq!(dir.read("told"), "quality firing\nquality resolved\n", "{}", done.err);
}
