//! Configuration as users meet it: pipelines made of stages that only this test has, and what is said of them.

mod cases;
mod loading;
mod properties;
mod schema;
mod stages;

use std::path::Path;

use aqpipe_engine::config::{Diagnostics, Loader, Overrides, Pipeline};
use aqpipe_engine::stage::Registry;

/// The environment of all tests.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "PASSWORD" => "hunter2-bad-hunter2",
        "SHORT" => "x1",
        "NUMBER" => "5",
        "EMPTY" => "",
        "WORD" => "somewhere",
        "LIST" => "[1, 2.5]",
        "INFINITE" => "inf",
        _ => return None,
    };
    Some(value.to_owned())
}

fn registry() -> Registry {
    Registry::collect().expect("the stages of this test")
}

fn load(text: &str, set: &[&str]) -> Result<Pipeline, Diagnostics> {
    let registry = registry();
    let overrides = Overrides::parse(set)?;
    Loader::new(&registry, &env).overrides(overrides).load_text("pipeline.toml", text)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A pipeline that nothing is wrong with.
const GOOD: &str = r#"name = "good"

[source]
type = "rows"
path = "data.csv"
fields = ["CO(GT)", "T"]
replay = { speed = 2.0 }

[[transform]]
type = "fill"
steps = [{ method = "forward", limit = 3 }, { method = "constant", value = 1.5 }]

[[transform]]
type = "clamp"
id = "limits"
on_fail = "null"
[transform.ranges]
"CO(GT)" = { min = 0.0, max = 50.0 }
T = { min = -20.0, max = 50.0 }

[sink]
type = "lines"
path = "out"

[dead_letter]
type = "heap"
dir = "dead"

[monitor]
every_secs = 5
"#;
