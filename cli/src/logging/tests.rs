//! Tests of what the layers make of events.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry};

use super::event_text::MONITOR_TARGET;
use super::filter::PipelineFilter;
use super::json::JsonFormat;
use super::pipeline_name::{Instances, StorePipelineNames, pipeline_span};
use super::repeats::{HoldRepeats, Repeats};
use super::text::TextFormat;

/// What was written.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().expect("not poisoned").clone())
            .expect("UTF-8")
            .lines()
            .map(Into::into)
            .collect()
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines of a console, of a text file and as JSON, of what `log` logs.
struct Logged {
    console: Vec<String>,
    file: Vec<String>,
    json: Vec<Value>,
    told: Vec<String>,
}

fn logged(has_status_line: bool, log: impl FnOnce()) -> Logged {
    let [console, file, json] = <[Buffer; 3]>::default();
    let (instances, repeats) = (Instances::default(), Repeats::default());
    let filter = |has_status_line, takes_summary| PipelineFilter {
        pipeline: None,
        levels: Arc::default(),
        max_level: tracing::level_filters::LevelFilter::INFO,
        has_status_line,
        takes_summary,
    };
    let layer = || tracing_subscriber::fmt::layer::<Registry>().with_ansi(false);
    let writer = |buffer: &Buffer| {
        let buffer = buffer.clone();
        move || buffer.clone()
    };
    let layers = vec![
        StorePipelineNames(instances.clone()).boxed(),
        HoldRepeats(repeats.clone()).boxed(),
        layer()
            .with_writer(writer(&console))
            .event_format(TextFormat { instances: None })
            .with_filter(filter(has_status_line, false))
            .boxed(),
        layer()
            .with_writer(writer(&file))
            .event_format(TextFormat { instances: Some(instances.clone()) })
            .with_filter(filter(false, false))
            .boxed(),
        layer().with_writer(writer(&json)).event_format(JsonFormat(instances)).with_filter(filter(false, true)).boxed(),
    ];
    tracing::subscriber::with_default(Registry::default().with(layers), log);
    let told = repeats.told(std::time::Instant::now(), true).into_iter().map(|notice| notice.text).collect();
    let parse = |line: String| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    Logged { console: console.lines(), file: file.lines(), json: json.lines().into_iter().map(parse).collect(), told }
}

/// The lines without their times and the id of this process.
fn texts(lines: &[String]) -> Vec<&str> {
    let pid = format!("[{}] ", std::process::id());
    let texts = lines.iter().map(|line| line.split_once("Z ").expect("a time").1);
    texts.map(|text| text.strip_prefix(&pid).unwrap_or(text)).collect()
}

#[test]
fn numbers_are_numbers_in_json_and_the_monitors_line_is_its_message_in_text() {
    let logged = logged(true, || {
        pipeline_span("job").in_scope(|| {
            let nothing: Option<u64> = None;
            tracing::info!(
                target: MONITOR_TARGET,
                records_read = 1_000_u64,
                mean_score = 0.5,
                not_measured = f64::NAN,
                lag = Some(7_u64),
                held = nothing,
                healthy = true,
                bytes = 12_u128,
                offset = -3_i64,
                "100 records/s in"
            );
            tracing::warn!(target: MONITOR_TARGET, alert = "quality", value = 0.5, "the score is low");
            tracing::info!(rows = 3, "began");
        });
    });
    let others = [" WARN job: the score is low", " INFO job: began rows=3"];
    assert_eq!(texts(&logged.console), others, "a terminal has a status line instead of the first one");
    assert_eq!(texts(&logged.file), [&[" INFO job: 100 records/s in"], &others[..]].concat());
    assert_eq!((&logged.json[1]["alert"], &logged.json[1]["value"]), (&Value::from("quality"), &Value::from(0.5)));
    let line = &logged.json[0];
    let numbers = serde_json::json!({
        "level": "INFO", "pipeline": "job", "message": "100 records/s in", "records_read": 1000, "mean_score": 0.5,
        "not_measured": null, "lag": 7, "healthy": true, "bytes": 12, "offset": -3,
    });
    for (key, value) in numbers.as_object().expect("an object") {
        assert_eq!(line.get(key), Some(value), "{key} of {line}");
    }
    let (time, pid) = (1, 1);
    let len = numbers.as_object().expect("one").len() + time + pid;
    assert_eq!(line.as_object().map(serde_json::Map::len), Some(len), "{line}");
}

#[test]
fn files_and_json_name_the_instance_once_it_is_known_and_the_console_does_not() {
    let logged = logged(false, || {
        pipeline_span("job").in_scope(|| {
            tracing::info!("before");
            tracing::Span::current().record("instance", "1");
            tracing::info!("after");
        });
        tracing::info!(pipeline = "job", "from a thread of librdkafka");
        tracing::info!(pipeline = "other", "of another one");
    });
    let expected = |job: &str| {
        let of_job = |text: &str| format!(" INFO {job}: {text}");
        vec![
            " INFO job: before".to_owned(),
            of_job("after"),
            of_job("from a thread of librdkafka"),
            " INFO other: of another one".to_owned(),
        ]
    };
    assert_eq!(texts(&logged.console), expected("job"));
    assert_eq!(texts(&logged.file), expected("job/1"));
    let instances: Vec<_> = logged.json.iter().map(|line| line.get("instance").and_then(Value::as_str)).collect();
    assert_eq!(instances, [None, Some("1"), Some("1"), None]);
}

#[test]
fn repeated_messages_are_held_back_everywhere_and_errors_and_the_monitor_are_not() {
    let logged = logged(false, || {
        pipeline_span("job").in_scope(|| {
            for n in 0..30 {
                tracing::warn!(stage = "csv", "the same");
                tracing::warn!("another one each time: {n}");
                tracing::error!("why the run ends");
                tracing::info!(target: MONITOR_TARGET, records_read = n, "nothing new");
            }
        });
        tracing::warn!(pipeline = "other", stage = "csv", "the same");
    });
    for lines in [&logged.console, &logged.file] {
        let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
        assert_eq!(count("job: the same stage=csv"), 10);
        assert_eq!((count("another one"), count("why the run ends"), count("nothing new")), (30, 30, 30));
    }
    assert_eq!(logged.json.iter().filter(|line| line["message"] == "the same").count(), 11, "and one of `other`");
    assert_eq!(logged.told, ["the same stage=csv … repeated 20 times within 1 s"]);
}

#[test]
fn numbers_at_the_end_of_a_run_are_for_those_who_read_json_and_stand_beside_its_message() {
    let logged = logged(false, || {
        pipeline_span("job").in_scope(|| {
            let numbers =
                r#"{"read":7,"lag":null,"committed":{"read":7},"splits":[{"split":"t/0","lag":3}],"level":"x"}"#;
            tracing::info!(target: "aqpipe::summary", numbers, "read 7");
            tracing::info!(target: MONITOR_TARGET, numbers = r#"{"read":6}"#, "6 read");
        });
    });
    for lines in [&logged.console, &logged.file] {
        assert_eq!(texts(lines), [" INFO job: 6 read"]);
    }
    let line = &logged.json[0];
    assert_eq!(
        (&line["message"], &line["level"], &line["pid"]),
        (&"read 7".into(), &"INFO".into(), &std::process::id().into())
    );
    assert_eq!((&line["read"], &line["lag"], &line["committed"]["read"]), (&7.into(), &Value::Null, &7.into()));
    assert_eq!((&line["splits"][0]["lag"], line.get("numbers")), (&3.into(), None));
    assert_eq!(logged.json[1]["read"], 6);
}

#[test]
fn messages_that_differ_only_in_what_they_are_about_are_held_back_and_counted() {
    let logged = logged(false, || {
        pipeline_span("job").in_scope(|| {
            for n in 0..620 {
                tracing::warn!(alike = "unreadable", "`f{n}`: `x` cannot be read");
                tracing::warn!(alike = "code", "`f{n}`: no such code");
            }
        });
    });
    for lines in [&logged.console, &logged.file] {
        assert_eq!(texts(lines).len(), 40, "{lines:#?}");
        assert_eq!(texts(lines)[0], " WARN job: `f0`: `x` cannot be read");
    }
    assert!(logged.json.iter().all(|line| line.get("alike").is_none()));
    let told = |what: &str| format!("600 more messages such as this one within 1 s: `f20`: {what}");
    assert_eq!(logged.told, [told("`x` cannot be read"), told("no such code")]);
}
