//! Options and their mistakes.

use aqpipe_engine::record::Field;
use serde_json::json;

use super::*;

fn check(value: serde_json::Value) -> Result<Fields, Vec<Problem>> {
    serde_json::from_value::<KafkaSourceConfig>(value).expect("a configuration").check()
}

#[test]
fn declared_fields_close_the_layout_and_without_them_it_is_open() {
    let fields = check(json!({"brokers": "b:1", "topics": ["t"]})).expect("no problems");
    assert!(fields.open && fields.key.is_none());
    let fields = check(json!({
        "brokers": "b:1", "topics": ["t"], "key": "station", "fields": ["CO(GT)"], "text_fields": ["note"],
    }))
    .expect("no problems");
    assert!(!fields.open);
    assert_eq!(fields.list, [Field::number("CO(GT)"), Field::text("note")]);
}

#[test]
fn every_problem_is_found_at_once_with_its_place() {
    let problems = check(json!({
        "brokers": "", "topics": ["t", "t", "a/b"], "group": "", "key": "timestamp", "fields": ["x", "x"],
        "librdkafka": {"enable.auto.commit": true, "linger.ms": 5, "group.id": "g", "max.poll.records": 500,
                       "partition.assignment.strategy": "cooperative-sticky"},
    }))
    .expect_err("problems");
    let paths: Vec<String> = problems.iter().map(|problem| problem.path.join("/")).collect();
    assert_eq!(
        paths,
        [
            "brokers",
            "librdkafka/enable.auto.commit",
            "librdkafka/group.id",
            "librdkafka/linger.ms",
            "librdkafka/max.poll.records",
            "librdkafka/partition.assignment.strategy",
            "topics/1",
            "topics/2",
            "group",
            "key",
            "fields/1",
        ]
    );
}

#[test]
fn a_strategy_beside_cooperative_assignment_is_refused() {
    let strategy = json!({"partition.assignment.strategy": "roundrobin"});
    let table =
        |assignment: &str| json!({"brokers": "b:1", "topics": ["t"], "assignment": assignment, "librdkafka": strategy});
    assert!(check(table("eager")).is_ok());
    let problems = check(table("cooperative")).expect_err("both say it");
    assert_eq!(problems[0].path, ["librdkafka", "partition.assignment.strategy"]);
}

#[test]
fn a_static_member_needs_an_instance_of_its_own() {
    let table = json!({"brokers": "localhost:1", "topics": ["t"], "static_membership": true});
    let config: KafkaSourceConfig = serde_json::from_value(table).expect("a configuration");
    let error = config.build(&BuildContext::for_tests()).err().expect("no instance");
    assert!(error.help_text().is_some_and(|help| help.contains("instance")), "{error}");
    let cx = BuildContext::for_tests().with_configured_instance("a");
    assert_eq!(config.static_member(&cx).expect("an identity").as_deref(), Some("aqpipe.test.a"));
    config.build(&cx).expect("built");
}

#[test]
fn a_source_that_is_built_needs_no_broker() {
    let config: KafkaSourceConfig =
        serde_json::from_value(json!({"brokers": "localhost:1", "topics": ["t"]})).expect("a configuration");
    let source = config.build(&BuildContext::for_tests()).expect("built");
    assert!(source.offset_store().is_some());
}

/// The places of the problems of options for messages, and of none.
fn places(more: serde_json::Value) -> Vec<String> {
    let mut table = json!({"brokers": "b:1", "topics": ["t"]});
    if let (Some(table), serde_json::Value::Object(more)) = (table.as_object_mut(), more) {
        table.extend(more);
    }
    let problems = check(table).err().unwrap_or_default();
    problems.iter().map(|problem| problem.path.join("/")).collect()
}

#[test]
fn names_in_messages_may_be_paths_and_each_is_used_once() {
    let flags = |column: serde_json::Value| json!({"a": {"column": column, "good": [1]}});
    for (more, expected) in [
        (
            json!({"timestamp": "meta.at", "key": {"columns": ["/d/site", "d.id"], "name": "s"}, "fields": ["/v/a~1b"]}),
            "",
        ),
        (json!({"key": {"name": "station", "from": "message"}, "fields": ["a"], "others": "ignore"}), ""),
        (json!({"fields": ["a"], "flags": flags(json!("a.code"))}), ""),
        (json!({"fields": ["a"], "flags": flags(json!("quality"))}), ""),
        (json!({"flags": flags(json!("code"))}), ""),
        (json!({"record": "/payload/after", "rename": {"v.pm": "pm"}, "fields": ["pm"]}), ""),
        (json!({"fields": ["v.a", "/v/a"]}), "fields/1"),
        (json!({"timestamp": "/at", "fields": ["at"]}), "fields/0"),
        (json!({"key": {"columns": ["a", "b"], "name": "k"}, "fields": ["b"]}), "fields/0"),
        (json!({"key": {"columns": ["a", "b"], "name": "k"}, "fields": ["k"]}), "fields/0"),
        (json!({"fields": ["/v/a~2"]}), "fields/0"),
        (json!({"record": "/v~"}), "record"),
        (json!({"fields": ["quality"]}), "fields/0"),
        (json!({"fields": ["a"], "rename": {"a": "b"}}), "fields/0"),
        (json!({"rename": {"a": "b", "c": "b"}}), "rename/c"),
        (json!({"rename": {"a": ""}}), "rename/a"),
        (json!({"others": "ignore"}), "others"),
        (json!({"fields": ["a"], "flags": flags(json!(3))}), "flags/a/column"),
        (json!({"fields": ["a"], "flags": flags(json!("timestamp"))}), "flags/a/column"),
        (json!({"fields": ["b"], "flags": flags(json!("code"))}), "flags/a"),
        (json!({"text_fields": ["a"], "flags": flags(json!("code"))}), "flags/a"),
        (json!({"delimiter": ";"}), "delimiter"),
    ] {
        assert_eq!(places(more.clone()).join(" "), expected, "{more}");
    }
}

#[test]
fn messages_of_rows_have_columns_and_no_properties() {
    let columns = json!(["at", "site", "v"]);
    for (more, expected) in [
        (
            json!({"columns": columns, "timestamp": "at", "key": "site", "fields": ["v"], "delimiter": ";", "decimal": ","}),
            "",
        ),
        (json!({"columns": columns, "timestamp": {"from": "message"}, "key": {"from": "message"}}), ""),
        (json!({"columns": columns, "timestamp": "at", "flags": {"v": {"column": 2, "good": ["a"]}}}), ""),
        (json!({}), "format"),
        (json!({"columns": columns, "timestamp": "at", "record": "payload"}), "record"),
        (json!({"columns": columns, "timestamp": "at", "others": "ignore", "fields": ["v"]}), "others"),
        (json!({"columns": columns, "timestamp": "then"}), "timestamp"),
        (
            json!({"columns": columns, "timestamp": "at", "key": {"columns": ["site", "w"], "name": "k"}}),
            "key/columns/1",
        ),
        (json!({"columns": columns, "timestamp": "at", "fields": ["w"]}), "fields/0"),
        (json!({"columns": columns, "timestamp": "at", "timezone": "Rome"}), "timezone"),
        (json!({"columns": columns, "timestamp": "at", "delimiter": "."}), "delimiter"),
    ] {
        let mut with = more.clone();
        with["format"] = json!("csv");
        assert_eq!(places(with).join(" "), expected, "{more}");
    }
}

#[test]
fn a_name_that_nothing_asks_for_is_worth_a_word_in_messages_of_rows_too() {
    let config: KafkaSourceConfig = serde_json::from_value(json!({
        "brokers": "b:1", "topics": ["t"], "format": "csv", "columns": ["timestamp", "a", "b"], "fields": ["a"],
        "rename": {"b": "c"},
    }))
    .expect("a configuration");
    config.check().expect("no error");
    let warnings = config.warnings();
    assert!(warnings.len() == 1 && warnings[0].path == ["rename", "b"], "{warnings:?}");
}
