//! A made-up process with some of everything, names that are markup among it.

use std::collections::BTreeMap;

use aqpipe_console::page::{Model, Moment, View};
use aqpipe_console::pictures::{Mark, Reading};
use aqpipe_engine::metrics::{ClientFigures, Phase, RecentDeadLetter};
use aqpipe_engine::monitor::{
    AlertStatus, Bucket, Commits, Committed, DeadLetterStatus, Distribution, FieldStatus, Health, PipelineStatus,
    SplitStatus, StageStatus, StationStatus, StationsStatus, Status, TestStatus,
};

const NOW_MS: i64 = 1_795_730_591_000;

/// The process.
pub(crate) fn model() -> Model {
    let status = Status {
        version: "0.1.0".into(),
        time: "2026-11-26T22:03:11.042Z".into(),
        uptime_seconds: 11_523.0,
        memory_bytes: Some(63_400_000),
        pipelines: vec![
            pipeline(),
            PipelineStatus {
                name: "raw-archive".into(),
                phase: Phase::Running,
                health: Health { alive: true, ready: true, ..Health::default() },
                read_per_second: 8_120.0,
                ..PipelineStatus::default()
            },
            PipelineStatus { name: "backfill-2024".into(), phase: Phase::Done, ..PipelineStatus::default() },
        ],
    };
    Model { status, view: view() }
}

fn view() -> View {
    let history = (0..180)
        .map(|i| Moment {
            unix_ms: NOW_MS - (180 - i) * 5_000,
            read_per_second: if (70..90).contains(&i) {
                0.0
            } else {
                1_200.0 + 150.0 * (i as f64 * 0.17).sin() + (i * 37 % 80) as f64
            },
            written_per_second: if (70..90).contains(&i) { 0.0 } else { 1_180.0 + 160.0 * (i as f64 * 0.16).sin() },
            mean_score: (!(70..90).contains(&i))
                .then(|| 0.91 + 0.03 * (i as f64 * 0.05).cos() - if i > 150 { 0.15 } else { 0.0 }),
        })
        .collect();
    let readings = (0..200)
        .map(|i| {
            let value = 48.0 + 22.0 * (i as f64 * 0.26).sin() + (i * 31 % 9) as f64;
            let (value, mark) = match i {
                33 | 34 => (value + 70.0, Mark::Suspect),
                77 => (value + 160.0, Mark::Fail),
                120..=126 => (value, Mark::Filled),
                _ => (value, Mark::Observed),
            };
            Reading {
                time_ms: NOW_MS - (200 - i) * 3_600_000,
                value: (!(150..156).contains(&i)).then_some(value),
                mark,
            }
        })
        .collect();
    let letter = |reason: &str, bytes: Option<&[u8]>| RecentDeadLetter {
        unix_ms: NOW_MS as u64 - 42_000,
        stage: "kafka".into(),
        reason: reason.into(),
        place: "air-quality-data/2, offset 88123".into(),
        bytes: bytes.map(<[u8]>::to_vec),
    };
    View {
        history,
        stations: vec!["DEBE010".into(), "DEBE032".into(), "<b>bold</b>".into()],
        fields: FIELDS.iter().map(|field| (*field).into()).collect(),
        station: Some("DEBE010".into()),
        field: Some("NO2(GT)".into()),
        readings,
        dead_letters: vec![
            letter(
                "not a JSON object: expected value at line 1 column 1",
                Some(b"<script>alert(1)</script>\x00\xff\xfe"),
            ),
            letter(
                "the timestamp \"yesterday\" is none of the formats",
                Some("{\"timestamp\":\"yesterday\",\"NO2(GT)\":41}".as_bytes()),
            ),
            letter("no bytes of it are known", None),
        ],
    }
}

const FIELDS: [&str; 8] =
    ["CO(GT)", "NMHC(GT)", "C6H6(GT)", "NOx(GT)", "NO2(GT)", "T", "RH", "<img src=x onerror=alert(1)>"];

fn distribution(bounds: &[f64], counts: &[u64], mean: f64) -> Distribution {
    let count: u64 = counts.iter().sum();
    let buckets = bounds.iter().map(|bound| Some(*bound)).chain([None]).zip(counts);
    Distribution {
        count,
        sum: mean * count as f64,
        buckets: buckets.map(|(le, count)| Bucket { le, count: *count }).collect(),
    }
}

fn field(at: usize, name: &str) -> FieldStatus {
    let at = at as u64;
    let scaled = |part: u64| 1_234_567 * part / 1000;
    let test = |test: &str, suspect, fail| TestStatus { test: test.into(), suspect, fail };
    let fills = [("forward_fill", scaled(at * 3)), ("interpolated", scaled(at * 7 % 20)), ("median", scaled(at % 3))];
    FieldStatus {
        field: name.into(),
        observed: scaled(960 - at * 14),
        censored: 0,
        filled: fills.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name.into(), count)).collect(),
        unreadable: if at == 1 { 412 } else { 0 },
        missing: scaled(40 - at * 2),
        good: scaled(890 - at * 10),
        suspect: scaled(at * at % 11 * 3),
        fail: scaled(at * 5 % 7),
        not_checked: if at > 5 { scaled(20) } else { 0 },
        tests: vec![
            test("gross_range", scaled(at % 5), scaled(at * 5 % 7)),
            test("climatology", scaled(at * 13 % 40), 0),
            test("spike", scaled(at * at % 11 * 3), scaled(at % 2)),
            test("flat_line", scaled(at * 31 % 90), scaled(at * 7 % 30)),
            test("syntax", 0, if at == 1 { 412 } else { 0 }),
        ],
    }
}

fn pipeline() -> PipelineStatus {
    let seconds = [0.001, 0.01, 0.1, 1.0, 10.0];
    let stage = |stage: &str, seconds, dead_letters| StageStatus {
        stage: stage.into(),
        rows_in: 1_234_567,
        rows_out: 1_234_567 - dead_letters,
        dead_letters,
        seconds,
        ..StageStatus::default()
    };
    let split = |partition: u64, lag| SplitStatus {
        split: format!("air-quality-data/{partition}"),
        is_open: partition != 3,
        read: 411_522 + partition * 1_234,
        lag,
        lag_committed: lag,
        committed: Committed { read: 411_000 + partition * 1_200, ..Committed::default() },
        held: partition * 4,
    };
    let station = |name: &str, at: &str, age_seconds| StationStatus {
        station: name.into(),
        newest_reading: at.into(),
        age_seconds,
    };
    let alert = |alert: &str, subject: Option<&str>, firing, since: &str, text: &str| AlertStatus {
        subjects: 1,
        alert: alert.into(),
        subject: subject.map(str::to_owned),
        firing,
        since: since.into(),
        value: 0.0,
        limit: 0.0,
        text: text.into(),
    };
    let silent = "no reading for 3 h 12 min; `silent_after` in [monitor.alerts] allows 2 h: look whether the station still sends";
    let quality = "the mean score of 11203 records in the last 60 s is 0.642; `quality` in [monitor.alerts] asks for 0.700: `flags` and `fills` of the output say which values are bad or missing";
    PipelineStatus {
        name: "air-quality".into(),
        instance: Some("aq-1".into()),
        topology: "kafka -> range_check -> climatology -> spike -> impute -> score -> csv".into(),
        delivery: "exactly_once".into(),
        phase: Phase::Running,
        health: Health { alive: true, ready: true, ..Health::default() },
        uptime_seconds: 11_523.0,
        read: 1_236_801,
        lag: Some(3_482),
        committed: Committed {
            read: 1_234_567,
            written: 1_234_102,
            dead_letters: 465,
            mean_score: Some(0.894),
            out_of_order: 12,
            ..Committed::default()
        },
        held: 16,
        read_per_second: 1_248.4,
        written_per_second: 1_241.0,
        errors: 3,
        retries: 17,
        files_written: 84,
        commits: Commits {
            seconds: distribution(&seconds, &[0, 210, 90, 2, 0, 0], 0.014),
            checkpoint_seconds: distribution(&seconds, &[0, 10, 250, 42, 0, 0], 0.08),
            checkpoints: 302,
            checkpoints_waiting: 1,
            since_last_seconds: Some(2.1),
        },
        batch_seconds: distribution(&seconds, &[800, 200, 20, 0, 0, 0], 0.002),
        processing_latency_seconds: distribution(&seconds, &[0, 0, 12, 250, 40, 0], 1.4),
        event_latency_seconds: distribution(&[60.0, 300.0, 3600.0], &[10, 240, 52, 0], 210.0),
        scores: Some(distribution(
            &(1..=20).map(|i| f64::from(i) / 20.0).collect::<Vec<_>>(),
            &(0..21).map(|i| if i == 20 { 0 } else { i * i * i * 9 + 200 }).collect::<Vec<_>>(),
            0.894,
        )),
        stages: vec![
            stage("range_check", 3.2, 0),
            stage("climatology", 12.4, 0),
            stage("spike", 5.5, 0),
            stage("impute", 41.0, 0),
            stage("score", 7.2, 465),
        ],
        splits: vec![split(0, Some(1_204)), split(1, Some(2_278)), split(2, Some(0)), split(3, None)],
        fields: FIELDS.iter().enumerate().map(|(at, name)| field(at, name)).collect(),
        stations: StationsStatus {
            known: 214,
            oldest: std::iter::once(station("DEBE032", "2026-11-26T18:51:00.000Z", 11_520.0))
                .chain((0..30).map(|i| station(&format!("DEBE{:03}", 40 + i), "2026-11-26T22:00:00.000Z", 191.0)))
                .collect(),
            others: 183,
        },
        dead_letters: vec![
            DeadLetterStatus {
                stage: "kafka".into(),
                reason: "not a JSON object".into(),
                first_reason: "not a JSON object".into(),
                count: 451,
                first_place: "air-quality-data/2, offset 1822".into(),
            },
            DeadLetterStatus {
                stage: "kafka".into(),
                reason: "the timestamp `…` is none of the formats <script>".into(),
                first_reason: "the timestamp `99.99.2004` is none of the formats <script>".into(),
                count: 14,
                first_place: "air-quality-data/0, offset 99".into(),
            },
        ],
        clients: vec![ClientFigures {
            client: "kafka consumer".into(),
            round_trip_seconds: Some(0.0012),
            brokers_up: 3,
            fetched_messages: 1_021,
            ..ClientFigures::default()
        }],
        notes: BTreeMap::from([("a header that comes again".into(), 2)]),
        alerts: vec![
            alert("silent_after", Some("DEBE032"), true, "2026-11-26T20:51:00.000Z", silent),
            alert("quality", None, true, "2026-11-26T22:00:40.000Z", quality),
        ],
        alert_history: vec![
            alert("quality", None, true, "2026-11-26T22:00:40.000Z", quality),
            alert("silent_after", Some("DEBE032"), true, "2026-11-26T20:51:00.000Z", silent),
            alert("lag", None, false, "2026-11-26T19:20:00.000Z", "the lag fell to 0 records, as it should be"),
        ],
        ..PipelineStatus::default()
    }
}
