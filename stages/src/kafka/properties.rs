//! `[….librdkafka]`: any property of librdkafka that has no key of its own, checked without a client.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use aqpipe_engine::config::{is_secret, nearest};
use aqpipe_engine::stage::Problem;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::property_names::{ALIASES, ANY, CONSUMER, JAVA_ONLY, PRODUCER};

/// Properties of librdkafka by name; each value is a string, a number or a boolean.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Properties(BTreeMap<String, Value>);

/// The kind of a client: some properties are heeded by one kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientKind {
    Consumer,
    Producer,
}

/// A property that may not be set by hand, and what to do instead.
pub(crate) type ReservedProperty = (&'static str, &'static str);

/// Properties that every stage sets itself.
const RESERVED: &[ReservedProperty] = &[
    ("metadata.broker.list", "set `brokers`"),
    ("test.mock.num.brokers", "run with `--embedded-broker`"),
    ("plugin.library.paths", "plugins are not supported"),
    ("log.queue", "logs go where the other logs go"),
    ("enabled_events", "the events are those that aqpipe needs"),
    ("statistics.interval.ms", "`[monitor]` reports what is going on"),
];

/// Properties whose value is not tried: the library would act on it.
const VALUES_NOT_TRIED: &[&str] = &["plugin.library.paths"];

impl Properties {
    /// Problems of the properties for a client of that kind. Pure: librdkafka is asked about names and values without
    /// creating a client.
    pub(crate) fn check(&self, kind: ClientKind, reserved: &[ReservedProperty]) -> Vec<Problem> {
        self.0.iter().filter_map(|(name, value)| problem(name, value, kind, reserved)).collect()
    }

    /// Sets all properties.
    pub(crate) fn apply(&self, config: &mut ClientConfig) {
        for (name, value) in &self.0 {
            config.set(name, text(value));
        }
    }

    /// Sets the properties that every client heeds.
    pub(crate) fn apply_common(&self, config: &mut ClientConfig) {
        for (name, value) in self.0.iter().filter(|(name, _)| ANY.contains(&name.as_str())) {
            config.set(name, text(value));
        }
    }

    /// The properties that concern neither encryption nor identity.
    pub(crate) fn without_security(&self) -> Properties {
        let theirs = |name: &str| ["security.", "ssl.", "sasl.", "enable.ssl."].iter().any(|it| name.starts_with(it));
        Properties(self.0.iter().filter(|(name, _)| !theirs(name)).map(|(n, v)| (n.clone(), v.clone())).collect())
    }

    /// The value of a property, under any of its names.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let name = canonical(name);
        self.0.iter().find(|(other, _)| canonical(other) == name).map(|(_, value)| text(value))
    }

    #[cfg(test)]
    pub(crate) fn of<const N: usize>(pairs: [(&str, Value); N]) -> Properties {
        Properties(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name)
}

fn problem(name: &str, value: &Value, kind: ClientKind, reserved: &[ReservedProperty]) -> Option<Problem> {
    let at = || ["librdkafka".to_owned(), name.to_owned()];
    if matches!(value, Value::Object(_) | Value::Array(_) | Value::Null) {
        let quoted = format!("quote the whole name of a property that has dots: `\"{name}.…\" = …`");
        return Some(
            Problem::new(at(), format!("`{name}` is neither a string nor a number nor a boolean")).help(quoted),
        );
    }
    if let Some((_, help)) = RESERVED.iter().chain(reserved).find(|(own, _)| canonical(own) == canonical(name)) {
        return Some(Problem::new(at(), format!("`{name}` is not to be set here")).at_key().help(*help));
    }
    if let Some((_, help)) = JAVA_ONLY.iter().find(|(java, _)| *java == name) {
        return Some(Problem::new(at(), format!("librdkafka has no property `{name}`")).at_key().help(*help));
    }
    let (own, others, other_kind) = match kind {
        ClientKind::Consumer => (CONSUMER, PRODUCER, "producers: it belongs to a sink"),
        ClientKind::Producer => (PRODUCER, CONSUMER, "consumers: it belongs to a source"),
    };
    if others.contains(&name) {
        return Some(Problem::new(at(), format!("`{name}` is a property of {other_kind}")).at_key());
    }
    let known = || ANY.iter().chain(own).copied();
    if !known().any(|known| known == name) {
        let problem = Problem::new(at(), format!("librdkafka has no property `{name}`")).at_key();
        return Some(match nearest(name, known()) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem,
        });
    }
    strategy_problem(name, value).or_else(|| value_problem(name, value))
}

fn strategy_problem(name: &str, value: &Value) -> Option<Problem> {
    let at = ["librdkafka", name];
    match name {
        "partition.assignment.strategy" => {
            let value = text(value);
            let other = value.split(',').map(str::trim).find(|one| !matches!(*one, "range" | "roundrobin"))?;
            Some(match other {
                "cooperative-sticky" => Problem::new(at, "cooperative assignment is chosen by an option of its own")
                    .help("set `assignment = \"cooperative\"`"),
                _ => Problem::new(at, format!("`{other}` is no assignment strategy that aqpipe supports"))
                    .help("use `range` or `roundrobin`"),
            })
        }
        "group.protocol" if text(value) != "classic" => {
            Some(Problem::new(at, "only the `classic` group protocol is supported yet"))
        }
        _ => None,
    }
}

fn value_problem(name: &str, value: &Value) -> Option<Problem> {
    if VALUES_NOT_TRIED.contains(&name) {
        return None;
    }
    let mut config = ClientConfig::new();
    config.set(name, text(value));
    let message = match config.create_native_config().err()? {
        _ if is_secret(name) => format!("librdkafka refuses the value of `{name}`"),
        KafkaError::ClientConfig(_, description, _, _) => lower(&description),
        other => lower(&other.to_string()),
    };
    Some(Problem::new(["librdkafka", name], message))
}

fn lower(message: &str) -> String {
    let mut chars = message.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// Names alone: a value may be a secret.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl JsonSchema for Properties {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Properties".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean"] }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(name: &str, value: Value, kind: ClientKind) -> Option<Problem> {
        Properties::of([(name, value)]).check(kind, &[("group.id", "set `group`")]).pop()
    }

    #[test]
    fn every_name_of_the_lists_is_one_that_the_library_knows() {
        let is_unknown = |name: &str| {
            let error = ClientConfig::new().set(name, "?").create_native_config().err();
            error.is_some_and(|error| error.to_string().contains("No such configuration property"))
        };
        for name in ANY.iter().chain(CONSUMER).chain(PRODUCER).filter(|name| !VALUES_NOT_TRIED.contains(name)) {
            assert!(!is_unknown(name), "{name}");
        }
        for (java, _) in JAVA_ONLY {
            assert!(is_unknown(java), "librdkafka knows {java}");
        }
    }

    #[test]
    fn an_unknown_property_suggests_the_one_that_was_meant() {
        let problem = one("fetch.min.byte", json!(1), ClientKind::Consumer).expect("a problem");
        assert!(problem.message.contains("no property `fetch.min.byte`"), "{problem:?}");
        assert_eq!(problem.label.as_deref(), Some("did you mean `fetch.min.bytes`?"));
        assert_eq!(problem.path, ["librdkafka", "fetch.min.byte"]);
    }

    #[test]
    fn a_property_of_the_other_role_is_refused() {
        let problem = one("linger.ms", json!(5), ClientKind::Consumer).expect("a problem");
        assert!(problem.message.contains("producers"), "{problem:?}");
        let problem = one("fetch.min.bytes", json!(5), ClientKind::Producer).expect("a problem");
        assert!(problem.message.contains("consumers"), "{problem:?}");
        assert_eq!(one("fetch.min.bytes", json!(5), ClientKind::Consumer), None);
        assert_eq!(one("socket.keepalive.enable", json!(true), ClientKind::Producer), None);
    }

    #[test]
    fn what_a_stage_sets_itself_is_refused_under_every_name() {
        for name in ["bootstrap.servers", "metadata.broker.list"] {
            let problem = one(name, json!("x:1"), ClientKind::Producer).expect("a problem");
            assert_eq!(problem.help.as_deref(), Some("set `brokers`"));
        }
        assert_eq!(
            one("group.id", json!("x"), ClientKind::Consumer).and_then(|p| p.help).as_deref(),
            Some("set `group`")
        );
    }

    #[test]
    fn a_java_name_says_what_to_set_instead() {
        let problem = one("max.request.size", json!(5), ClientKind::Producer).expect("a problem");
        assert!(problem.help.is_some_and(|help| help.contains("message.max.bytes")));
        assert!(one("max.poll.records", json!(500), ClientKind::Consumer).is_some());
    }

    #[test]
    fn a_value_that_the_library_refuses_is_a_problem_of_the_value() {
        let problem = one("fetch.min.bytes", json!("many"), ClientKind::Consumer).expect("a problem");
        assert!(problem.message.contains("fetch.min.bytes") && !problem.at_key, "{problem:?}");
        let problem = one("fetch", json!({"min": {"bytes": 1}}), ClientKind::Consumer).expect("a problem");
        assert!(problem.help.is_some_and(|help| help.contains("quote")));
    }

    #[test]
    fn cooperative_assignment_is_chosen_by_its_own_option() {
        let problem = one("partition.assignment.strategy", json!("range,cooperative-sticky"), ClientKind::Consumer);
        assert!(problem.expect("a problem").help.is_some_and(|help| help.contains("assignment = ")));
        assert_eq!(one("partition.assignment.strategy", json!("range,roundrobin"), ClientKind::Consumer), None);
    }

    #[test]
    fn debug_output_shows_no_values() {
        let shown = format!("{:?}", Properties::of([("sasl.password", json!("hunter2"))]));
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
    }
}
