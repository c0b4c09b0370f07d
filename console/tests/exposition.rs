//! What `/metrics` says, read by parsers of others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aqpipe_console::exposition::{Facts, Format, METRICS, PipelineFacts, dashboard, docs, exposition, rules};
use aqpipe_engine::ErrorClass;
use aqpipe_engine::metrics::{
    CellProblem, CellProblemCount, CellTally, ClientFigures, Counts, ErrorCount, FieldCells, Histogram,
    NotificationCounts, Phase, Snapshot, SplitSnapshot, StationTime, StationTimes, TestCount,
};
use aqpipe_engine::record::Provenance;

/// A snapshot in which everything was counted, with labels that hold what data may hold.
fn full(stations: usize) -> Snapshot {
    let of = |mut histogram: Histogram, values: &[f64]| {
        values.iter().for_each(|value| histogram.observe(*value));
        histogram
    };
    let error = |stage: &str, class, count| ErrorCount { stage: stage.to_owned(), class, count };
    let seconds = || of(Histogram::of_seconds(), &[0.002, 7.0, 1e9]);
    let mut snapshot = Snapshot {
        phase: Phase::Running,
        waits: vec!["kafka: no broker answers".to_owned()],
        read: 12,
        expected: Some(100),
        counts: Counts {
            read: 10,
            written: 7,
            dead: 2,
            filtered: 1,
            out_of_order: 3,
            repeated: 4,
            ..Counts::default()
        },
        held: 5,
        lag: Some(88),
        lag_committed: Some(90),
        checkpoints: 3,
        checkpoints_waiting: 1,
        commit_seconds: seconds(),
        checkpoint_seconds: seconds(),
        batch_seconds: seconds(),
        processing_latency_seconds: seconds(),
        event_latency_seconds: seconds(),
        batch_rows: of(Histogram::of_rows(), &[3.0, 9_000.0]),
        scores: of(Histogram::of_scores(), &[0.5, 1.0]),
        since_commit: Some(Duration::from_millis(1_500)),
        errors: 3,
        errors_by: vec![error("csv", ErrorClass::DiskFull, 1), error("kafka", ErrorClass::Broker, 2)],
        checkpoints_ahead: 11,
        dead_letter_files: 12,
        notifications: vec![NotificationCounts { hook: "1".to_owned(), delivered: 13, failed: 14, dropped: 15 }],
        unreached: 2,
        retries: 3,
        rebalances: 4,
        files: 5,
        bytes_in: 6,
        bytes_out: 7,
        passed_over: 8,
        marks_ignored: 9,
        notes: vec![("messages without a value", 10)],
        uptime: Duration::from_secs(60),
        ..Snapshot::default()
    };
    let mut tally = CellTally::default();
    (tally.unreadable, tally.missing) = (1, 2);
    tally.provenance = std::array::from_fn(|i| 100 + i as u64);
    let test = TestCount { test: "range".into(), suspect: 1, fail: 2 };
    for field in ["CO(GT)", "\"quoted\"\\ \n<b>"] {
        let cells =
            FieldCells { field: field.into(), flags: [5, 4, 3, 2, 1], tally: tally.clone(), tests: vec![test.clone()] };
        snapshot.fields.push(cells);
    }
    snapshot.splits.push(SplitSnapshot {
        split: "readings/0".into(),
        is_open: true,
        read: 12,
        lag: Some(88),
        lag_committed: Some(90),
        uncommitted: 2,
        is_busy: false,
        committed: Counts { read: 10, ..Counts::default() },
        held: 5,
    });
    snapshot.stages.push(("impute".to_owned(), Default::default()));
    snapshot.dead_letters.add("csv", "the row has 3 cells", "a.csv:7");
    for i in 0..60 {
        let letter = |i: u8| char::from(b'a' + i % 26);
        snapshot.dead_letters.add("csv", &format!("reason {}{}", letter(i / 26), letter(i)), "a.csv:7");
    }
    let problem =
        |problem| (problem, "CO(GT)".to_owned(), CellProblemCount { cells: 2, text: "ERR".to_owned(), place: None });
    snapshot.cell_problems = vec![problem(CellProblem::Unreadable), problem(CellProblem::UnlistedCode)];
    snapshot.clients.push(ClientFigures {
        client: "kafka".to_owned(),
        round_trip_seconds: Some(0.003),
        ..ClientFigures::default()
    });
    let time =
        |i: usize| StationTime { station: format!("Station no. {i:05}").into(), newest_micros: 1_700_000_000_000_000 };
    snapshot.stations = StationTimes {
        known: stations as u64,
        oldest: (0..stations.min(1_000)).map(time).collect(),
        newest_micros: Some(1_700_000_000_000_000),
        untold: 1,
        ..StationTimes::default()
    };
    snapshot
}

fn facts(stations: usize) -> Arc<Facts> {
    let pipeline = |name: &str| PipelineFacts {
        name: name.to_owned(),
        alive: true,
        ready: false,
        alerts: vec![("quality".to_owned(), 1), ("error_rate".to_owned(), 0)],
        snapshot: full(stations),
        now: 1_700_000_100.0,
    };
    Arc::new(Facts {
        version: "1.2.3",
        memory_bytes: Some(1 << 20),
        started: 1_700_000_000.5,
        pipelines: vec![pipeline("one"), pipeline("two")],
    })
}

type Samples = BTreeMap<String, Vec<(BTreeMap<String, String>, f64)>>;

/// The samples by name, read by a crate that has nothing to do with the one that writes them.
fn parsed(text: &str) -> Samples {
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = prometheus_parse::Scrape::parse(lines).expect("Prometheus text");
    let mut samples = Samples::new();
    for sample in scrape.samples {
        let labels = |sample: &prometheus_parse::Sample| {
            sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let values = match &sample.value {
            prometheus_parse::Value::Counter(value)
            | prometheus_parse::Value::Gauge(value)
            | prometheus_parse::Value::Untyped(value) => vec![*value],
            prometheus_parse::Value::Histogram(buckets) => buckets.iter().map(|bucket| bucket.count).collect(),
            prometheus_parse::Value::Summary(_) => panic!("there are no summaries"),
        };
        let all = samples.entry(sample.metric.clone()).or_default();
        all.extend(values.into_iter().map(|value| (labels(&sample), value)));
    }
    samples
}

fn value(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |of: &BTreeMap<String, String>| {
        labels.iter().all(|(name, value)| of.get(*name).is_some_and(|known| known == value))
    };
    let found: Vec<f64> = samples[name].iter().filter(|(of, _)| has(of)).map(|(_, value)| *value).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found[0]
}

#[test]
fn an_independent_parser_reads_what_was_counted() {
    let samples = parsed(&exposition(&facts(3), Format::PrometheusText));
    let one = ("pipeline", "one");
    for (name, labels, expected) in [
        ("aqpipe_read_records_total", &[one][..], 12.0),
        ("aqpipe_committed_records_total", &[one, ("outcome", "read")], 10.0),
        ("aqpipe_committed_records_total", &[one, ("outcome", "dead_letter")], 2.0),
        ("aqpipe_lag_records", &[one], 88.0),
        ("aqpipe_split_lag_records", &[one, ("split", "readings/0")], 88.0),
        ("aqpipe_lag_committed_records", &[one], 90.0),
        ("aqpipe_split_lag_committed_records", &[one, ("split", "readings/0")], 90.0),
        ("aqpipe_errors_total", &[one, ("stage", "csv"), ("class", "disk_full")], 1.0),
        ("aqpipe_errors_total", &[one, ("stage", "kafka"), ("class", "broker")], 2.0),
        ("aqpipe_files_written_total", &[one, ("output", "records")], 5.0),
        ("aqpipe_files_written_total", &[one, ("output", "dead_letters")], 12.0),
        ("aqpipe_event_clock_ahead_checkpoints_total", &[one], 11.0),
        ("aqpipe_notifications_total", &[one, ("hook", "1"), ("outcome", "failed")], 14.0),
        ("aqpipe_cells_total", &[one, ("field", "CO(GT)"), ("state", "unreadable")], 1.0),
        ("aqpipe_cells_total", &[one, ("field", "CO(GT)"), ("state", "filled"), ("method", "median")], 104.0),
        ("aqpipe_cells_total", &[one, ("field", "CO(GT)"), ("state", "observed")], 100.0 + 106.0),
        ("aqpipe_cell_flags_total", &[one, ("field", "CO(GT)"), ("flag", "not_checked")], 4.0),
        ("aqpipe_cell_objections_total", &[one, ("field", "CO(GT)"), ("test", "range"), ("flag", "fail")], 2.0),
        ("aqpipe_dead_letters_total", &[one, ("stage", "other")], 11.0),
        ("aqpipe_phase", &[one, ("phase", "running")], 1.0),
        ("aqpipe_phase", &[one, ("phase", "failed")], 0.0),
        ("aqpipe_up", &[one], 1.0),
        ("aqpipe_ready", &[one], 0.0),
        ("aqpipe_alerts_firing", &[one, ("alert", "quality")], 1.0),
        ("aqpipe_last_commit_timestamp_seconds", &[one], 1_700_000_098.5),
        ("aqpipe_build_info", &[("version", "1.2.3")], 1.0),
    ] {
        assert_eq!(value(&samples, name, labels), expected, "{name} {labels:?}");
    }
    let filled: f64 = Provenance::ALL.iter().filter(|one| one.is_fill()).map(|one| 100.0 + f64::from(*one as u8)).sum();
    let cells: f64 = samples["aqpipe_cells_total"]
        .iter()
        .filter(|(of, _)| of["pipeline"] == "one" && of["field"] == "CO(GT)")
        .map(|(_, value)| value)
        .sum();
    assert_eq!(cells, 100.0 + 106.0 + 107.0 + filled + 1.0 + 2.0, "every cell once");
}

#[test]
fn every_metric_of_the_list_is_counted_and_none_beside_it() {
    let text = exposition(&facts(3), Format::PrometheusText);
    let told: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let listed: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(told, listed);
}

#[test]
fn the_list_is_sorted_and_follows_the_conventions() {
    assert!(METRICS.is_sorted_by_key(|metric| metric.name));
    for metric in METRICS {
        let name = metric.name.strip_suffix(metric.kind.suffix()).expect(metric.name);
        assert!(metric.unit.is_none_or(|unit| name.ends_with(unit)), "{}", metric.name);
        assert!(!name.ends_with("_total") && !name.ends_with("_info"), "{}", metric.name);
        assert!(metric.name.starts_with("aqpipe_") || metric.name.starts_with("process_"), "{}", metric.name);
        assert!(!metric.help.contains(['\n', '\\', '"']) && !metric.help.ends_with('.'), "{}", metric.name);
        let labels: BTreeSet<_> = metric.labels.iter().collect();
        assert!(labels.len() == metric.labels.len() && !labels.contains(&"le") && !labels.contains(&"pipeline"));
    }
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("aqpipe_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[test]
fn every_metric_of_dashboard_and_rules_is_in_the_list() {
    let mut known = BTreeSet::new();
    for metric in METRICS {
        known.insert(metric.name.to_owned());
        if metric.kind.name() == "histogram" {
            known.extend(["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name)));
        }
    }
    for (what, text) in [("dashboard", dashboard()), ("rules", rules())] {
        let named = named(&text);
        assert!(named.len() > 10, "{what}");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{what} asks for {unknown:?}");
    }
    let docs = docs();
    let told: Vec<&str> = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(METRICS.iter().map(|metric| metric.name).eq(told.into_iter().filter(|name| !name.starts_with('/'))));
}

#[test]
fn ten_thousand_stations_fit_into_a_megabyte() {
    for format in [Format::PrometheusText, Format::OpenMetrics] {
        let bytes = exposition(&facts(10_000), format).len();
        assert!(bytes < 1_000_000, "{bytes}");
    }
}

#[test]
fn two_subjects_with_one_name_do_not_spoil_the_answer() {
    let mut facts = Facts::clone(&facts(1));
    facts.pipelines[1].name = "one".to_owned();
    let text = exposition(&Arc::new(facts), Format::PrometheusText);
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let names: BTreeSet<&str> = series.iter().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    assert_eq!(names.len(), series.len(), "no series comes twice");
}

fn accepted_by(program: &str, args: &[&str], input: &str) {
    let (accepted, said) = told(program, args, input);
    assert!(accepted && said.trim().is_empty(), "{program}: {said}");
}

/// Whether a program accepts its input, and what it says of it.
fn told(program: &str, args: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(program);
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("input");
    let done = child.wait_with_output().expect("an end");
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    (done.status.success(), said)
}

#[test]
#[ignore = "needs promtool, which AQPIPE_TEST_PROMTOOL names"]
fn promtool_accepts_the_metrics() {
    let promtool = std::env::var("AQPIPE_TEST_PROMTOOL").expect("AQPIPE_TEST_PROMTOOL");
    accepted_by(&promtool, &["check", "metrics"], &exposition(&facts(2_000), Format::PrometheusText));
}

#[test]
#[ignore = "needs promtool, which AQPIPE_TEST_PROMTOOL names"]
fn promtool_accepts_the_rules_and_they_fire_as_their_tests_say() {
    let promtool = std::env::var("AQPIPE_TEST_PROMTOOL").expect("AQPIPE_TEST_PROMTOOL");
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
    for args in [["check", "rules", "prometheus-rules.yaml"], ["test", "rules", "prometheus-rules.test.yaml"]] {
        let done = Command::new(&promtool).args(args).current_dir(deploy).output().expect("promtool");
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{args:?}: {said}");
    }
}

#[test]
#[ignore = "needs promtool, which AQPIPE_TEST_PROMTOOL names"]
fn promtool_accepts_what_the_dashboard_asks() {
    let promtool = std::env::var("AQPIPE_TEST_PROMTOOL").expect("AQPIPE_TEST_PROMTOOL");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard()).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let query =
        |target: &serde_json::Value| target["expr"].as_str().expect("a query").replace("$__rate_interval", "5m");
    let rule = |(at, target)| serde_json::json!({ "record": format!("query:{at}"), "expr": query(target) });
    let rules: Vec<serde_json::Value> = targets.enumerate().map(rule).collect();
    let file = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let (accepted, said) = told(&promtool, &["check", "rules", "/dev/stdin"], &file.to_string());
    assert!(accepted && said.contains(&format!("{} rules found", rules.len())), "{said}");
}

#[test]
#[ignore = "needs Python with the package prometheus-client, which AQPIPE_TEST_PYTHON names"]
fn the_reference_parser_reads_open_metrics() {
    let python = std::env::var("AQPIPE_TEST_PYTHON").expect("AQPIPE_TEST_PYTHON");
    let read = "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as read; \
                n = len(list(read(sys.stdin.read()))); assert n > 40, n";
    accepted_by(&python, &["-c", read], &exposition(&facts(2_000), Format::OpenMetrics));
}
