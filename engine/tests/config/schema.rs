//! The schema for editors agrees with what loading says.

use aqpipe_engine::config::{options, pipeline_schema};
use aqpipe_engine::stage::Role;
use serde_json::Value;

use crate::{GOOD, load, registry};

fn json(text: &str) -> Value {
    let value: toml::Table = toml::from_str(text).expect("TOML");
    serde_json::to_value(value).expect("JSON")
}

fn accepts(text: &str) -> bool {
    let schema = pipeline_schema(&registry());
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    validator.is_valid(&json(text))
}

#[test]
fn it_is_a_schema_of_its_draft() {
    let schema = pipeline_schema(&registry());
    jsonschema::meta::validate(&schema).expect("valid");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["name"]["description"].as_str().is_some_and(|text| text.contains("identifies")));
}

#[test]
fn what_it_rejects_loading_rejects() {
    let changes = [
        ("path = \"data.csv\"", "path = 5"),
        ("path = \"data.csv\"", "paht = \"data.csv\""),
        ("path = \"data.csv\"", "limit = 0\npath = \"a\""),
        ("type = \"rows\"", "type = \"row\""),
        ("type = \"rows\"\n", ""),
        ("speed = 2.0", "speed = 0.25"),
        ("\"null\"", "\"nul\""),
        ("max = 50.0", "maxx = 50.0"),
        ("method = \"forward\"", "method = \"forwards\""),
        ("method = \"forward\", limit = 3", "method = \"constant\", limit = 3"),
        ("name = \"good\"", "name = \"no good\""),
        ("name = \"good\"", ""),
        ("every_secs = 5", "every_secs = 0"),
        ("every_secs = 5", "ever_secs = 5"),
        ("[sink]", "[other]"),
        ("[[transform]]\ntype = \"fill\"", "[[transform]]\ntype = \"lines\""),
        ("id = \"limits\"", "id = \"a limit\""),
    ];
    for (from, to) in changes {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        assert!(!accepts(&text), "the schema accepts {to}");
        assert!(load(&text, &[]).is_err(), "loading accepts {to}");
    }
}

#[test]
fn it_accepts_what_loading_accepts_variables_too() {
    let changes = [
        ("name = \"good\"", "name = \"good\""),
        ("name = \"good\"", "name = \"good-${WORD}\""),
        ("path = \"data.csv\"", "path = \"${WORD}\"\nlimit = \"${NUMBER}\""),
        ("path = \"data.csv\"", "path = \"a\"\nmissing = \"${LIST}\""),
        ("path = \"data.csv\"", "path = \"a\"\nmissing = [\"${NUMBER}\", -200]"),
        ("path = \"data.csv\"", "path = \"a\"\nendless = \"${FLAG:-false}\""),
        ("speed = 2.0", "speed = \"${NUMBER}\""),
        ("speed = 2.0", "speed = 1_0.2_5e+1"),
        ("path = \"data.csv\"", "path = \"a\"\nlimit = 0xf_f"),
        ("\"null\"", "\"${MODE:-reject}\""),
        ("limit = 3", "limit = \"${NUMBER}\""),
        ("every_secs = 5", "every_secs = \"${NUMBER}\""),
    ];
    for (from, to) in changes {
        let text = GOOD.replacen(from, to, 1);
        if let Err(problems) = load(&text, &[]) {
            panic!("loading rejects {to}:\n{problems}");
        }
        assert!(accepts(&text), "the schema rejects {to}");
    }
}

#[test]
fn options_are_listed_with_types_defaults_and_docs() {
    let registry = registry();
    let list = |role, name| {
        let stage = registry.get(role, name).expect(name);
        let lines = options(stage).into_iter().map(|option| {
            let default = option.default.unwrap_or_else(|| if option.required { "required" } else { "-" }.to_owned());
            format!("{} | {} | {default} | {}", option.key, option.kind, option.doc)
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let stages = [(Role::Source, "rows"), (Role::Transform, "clamp"), (Role::Transform, "fill"), (Role::Sink, "lines")];
    let text: Vec<_> = stages.iter().map(|(role, name)| format!("{role} {name}\n{}", list(*role, name))).collect();
    insta::assert_snapshot!(text.join("\n\n"));
}
