//! The options of the source that reads a topic for a report.

use std::path::Path;

use aqpipe_engine::config::Pipeline;
use aqpipe_engine::record::Kind;
use aqpipe_engine::{Error, Result};
use serde_json::{Map, Value, json};

use super::args::InputArgs;
use super::inputs::beside;
use super::pipelines::Pipelines;

/// Seconds after which a report gives up where no broker has answered.
const CONNECT_TIMEOUT_SECS: u64 = 30;
/// What a sink and a source both say of their brokers.
const ENDPOINT_KEYS: [&str; 3] = ["brokers", "security", "connect_timeout_secs"];
/// How properties of librdkafka begin that are of the connection.
const CONNECTION_PROPERTIES: [&str; 6] = ["sasl.", "ssl.", "security.", "socket.", "broker.", "client."];
/// Options that are of a run, or that the report sets.
const OWN_KEYS: [&str; 9] =
    ["type", "id", "topics", "group", "start", "until_end", "static_membership", "transactions", "on_unreadable"];

/// The options that read all of a topic: as the pipeline does that reads it, or as the one wrote it, or by the brokers alone.
///
/// # Errors
/// Where nothing says which brokers have it.
pub(super) fn topic_options(topic: &str, args: &InputArgs, pipelines: &Pipelines) -> Result<Value> {
    let mut options = match (pipelines.reader(topic), pipelines.writer(topic)) {
        (Some(reader), _) if reader.source.kind == "kafka" => of_reader(reader),
        (_, Some(writer)) => of_writer(writer),
        _ => Map::new(),
    };
    if let Some(brokers) = &args.brokers {
        options.insert("brokers".to_owned(), json!(brokers));
    }
    if !options.contains_key("brokers") {
        return Err(Error::config(format!("there is no file or directory `{topic}`, and for a topic the brokers are missing"))
            .help(format!(
                "{}; of a topic, name the brokers by `--brokers HOST:PORT`, or give the pipeline that writes or reads it by `--pipeline FILE`",
                beside(Path::new(topic))
            )));
    }
    if let Some(key) = &args.key {
        options.insert("key".to_owned(), json!(key));
    }
    options.entry("key").or_insert(json!({ "from": "message", "name": "station" }));
    options.entry("connect_timeout_secs").or_insert(json!(CONNECT_TIMEOUT_SECS));
    let own = [
        ("topics", json!([topic])),
        // A group of its own: it takes no partition from the readers of the topic, and commits nothing.
        ("group", json!(format!("aqpipe-report-{}-{}", std::process::id(), jiff::Timestamp::now().as_nanosecond()))),
        ("start", json!("earliest")),
        ("until_end", json!(true)),
        ("on_unreadable", json!("warn")),
    ];
    options.extend(own.map(|(key, value)| (key.to_owned(), value)));
    Ok(Value::Object(options))
}

fn of_reader(pipeline: &Pipeline) -> Map<String, Value> {
    let mut table = pipeline.table_of(&pipeline.source).as_object().cloned().unwrap_or_default();
    table.retain(|key, _| !OWN_KEYS.contains(&key.as_str()));
    table
}

fn of_writer(pipeline: &Pipeline) -> Map<String, Value> {
    let table = pipeline.table_of(&pipeline.sink);
    let mut options: Map<String, Value> =
        ENDPOINT_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), table.get(*key)?.clone()))).collect();
    let mut properties = table["librdkafka"].as_object().cloned().unwrap_or_default();
    properties.retain(|name, _| CONNECTION_PROPERTIES.iter().any(|begin| name.starts_with(begin)));
    options.insert("librdkafka".to_owned(), Value::Object(properties));
    if let Some(key) = &pipeline.fields.key {
        options.insert("key".to_owned(), json!(&**key));
    }
    // A measurement that is never there has no value that would say that it is one.
    let numbers = pipeline.fields.list.iter().filter(|field| field.kind == Kind::Number && !field.derived);
    let numbers: Vec<&str> = numbers.map(|field| &*field.name).collect();
    if !pipeline.fields.open {
        options.insert("fields".to_owned(), json!(numbers));
    }
    options
}
