//! Stages that only have a configuration.

use std::cell::Cell;
use std::sync::Arc;

use aqpipe_engine::record::{Field, Fields};
use aqpipe_engine::schemars::{self, JsonSchema};
use aqpipe_engine::stage::{
    Boundedness, BuildContext, CheckpointPolicy, DeadLetterSink, DeadLetters, Delivery, Descriptor, Problem, Repeat,
    Sink, SinkConfig, Source, SourceConfig, Transform, TransformConfig,
};
use aqpipe_engine::{Error, Result, inventory};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Reads rows from a file. Its second sentence is not for lists.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rows {
    /// The file. Relative to the working directory.
    #[schemars(length(min = 1))]
    path: String,
    /// The fields it yields. Absent: those of the file.
    #[serde(default)]
    fields: Option<Vec<String>>,
    /// Numbers that stand for nothing.
    #[serde(default)]
    missing: Vec<f64>,
    /// At most so many rows.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u32>,
    /// Whether it never ends.
    #[serde(default)]
    endless: bool,
    /// How fast rows are released.
    #[serde(default)]
    replay: Option<Replay>,
}

/// How fast rows are released.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its form is of interest")]
struct Replay {
    /// How many times as fast as the clock.
    #[schemars(range(min = 0.5, max = 1000))]
    speed: f64,
}

impl SourceConfig for Rows {
    fn check(&self) -> Result<Fields, Vec<Problem>> {
        if self.path.ends_with('/') {
            return Err(vec![Problem::new(["path"], format!("`{}` is a directory", self.path)).help("name a file")]);
        }
        if self.limit == Some(13) {
            return Err(vec![Problem::new(["limit"], "13 is unlucky").warning()]);
        }
        let list = self.fields.iter().flatten().map(|name| Field::number(name)).collect();
        Ok(Fields { list, open: self.fields.is_none(), ..Fields::default() })
    }

    fn boundedness(&self) -> Boundedness {
        if self.endless {
            return Boundedness::Unbounded;
        }
        let once = self.missing.is_empty() || self.replay.is_some();
        Boundedness::Bounded { rerun: if once { Repeat::Never } else { Repeat::Always } }
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>> {
        Err(Error::new("not in this test"))
    }
}

/// Checks ranges.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Clamp {
    /// The range of each field.
    ranges: IndexMap<String, Range>,
    /// What becomes of a value out of range.
    #[serde(default)]
    on_fail: OnFail,
}

/// A range.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Range {
    /// The least.
    #[serde(default)]
    min: Option<f64>,
    /// The greatest.
    #[serde(default)]
    max: Option<f64>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnFail {
    /// It is flagged.
    #[default]
    Flag,
    /// It is emptied.
    Null,
    /// Its record is rejected.
    Reject,
}

impl TransformConfig for Clamp {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems = Vec::new();
        for (name, range) in &self.ranges {
            problems.extend(Problem::unknown_field(["ranges", name], name, input).map(Problem::at_key));
            if range.min.zip(range.max).is_some_and(|(min, max)| min > max) {
                problems.push(Problem::new(["ranges", name, "min"], format!("`min` of `{name}` is above its `max`")));
            }
        }
        if problems.is_empty() { Ok(input.clone()) } else { Err(problems) }
    }

    fn numeric_fields(&self) -> Vec<String> {
        self.ranges.keys().cloned().collect()
    }

    fn rejects(&self) -> bool {
        self.on_fail == OnFail::Reject
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>> {
        Err(Error::new("not in this test"))
    }
}

/// Fills what is missing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fill {
    /// What is tried, in order.
    #[schemars(length(min = 1))]
    steps: Vec<Step>,
}

/// A way to fill.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("allOf" = [
    {
        "if": { "properties": { "method": { "const": "constant" } } },
        "then": { "required": ["value"], "properties": { "limit": false } },
        "else": { "properties": { "value": false } },
    },
]))]
#[expect(dead_code, reason = "only its form is of interest")]
struct Step {
    /// How.
    method: Method,
    /// At most so many records.
    #[serde(default)]
    #[schemars(range(min = 1))]
    limit: Option<u8>,
    /// The constant.
    #[serde(default)]
    value: Option<f64>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Method {
    Forward,
    Constant,
    Median,
}

impl TransformConfig for Fill {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        Ok(input.clone())
    }

    fn requires_bounded(&self) -> Option<Problem> {
        let step = self.steps.iter().position(|step| step.method == Method::Median)?.to_string();
        Some(
            Problem::new(["steps", &step, "method"], "the median needs an input that ends")
                .help("use `forward` or `constant`"),
        )
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>> {
        Err(Error::new("not in this test"))
    }
}

/// Writes lines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Lines {
    /// The file.
    path: String,
    /// A password that must not be seen.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    token: Option<String>,
    /// Whether a crash may repeat lines.
    #[serde(default)]
    sloppy: bool,
    /// A field to sort by, or its number.
    #[serde(default)]
    #[schemars(schema_with = "text_or_number")]
    sort: Option<serde_json::Value>,
    /// How lines are packed.
    #[serde(default)]
    packing: Packing,
}

thread_local! {
    /// How often this thread generated the schema of the sink.
    pub(crate) static SCHEMAS_GENERATED: Cell<usize> = const { Cell::new(0) };
}

fn text_or_number(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    SCHEMAS_GENERATED.set(SCHEMAS_GENERATED.get() + 1);
    schemars::json_schema!({ "type": ["string", "integer"] })
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Packing {
    #[default]
    None,
    Gzip,
}

impl SinkConfig for Lines {
    fn check(&self, input: &Fields) -> Result<(), Vec<Problem>> {
        if let Some(token) = self.token.as_ref().filter(|token| token.contains("bad")) {
            return Err(vec![Problem::new(["token"], format!("the token {token:?} is bad")).label(token.as_str())]);
        }
        let Some(serde_json::Value::String(sort)) = &self.sort else { return Ok(()) };
        Problem::unknown_field(["sort"], sort, input).map_or(Ok(()), |problem| Err(vec![problem]))
    }

    fn checkpoint_policy(&self) -> CheckpointPolicy {
        CheckpointPolicy::Interval
    }

    fn delivery(&self) -> Delivery {
        if self.sloppy { Delivery::AtLeastOnce } else { Delivery::ExactlyOnce }
    }

    fn files(&self, _: &str) -> Option<(String, String)> {
        Some((self.path.clone(), "x".to_owned()))
    }

    fn build(&self, _: &BuildContext) -> Result<Arc<dyn Sink>> {
        Err(Error::new(format!("not in this test: {:?}", self.packing)))
    }
}

/// Keeps what could not be carried.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Heap {
    /// Where.
    dir: String,
}

impl SinkConfig<DeadLetters> for Heap {
    fn check(&self, _: &Fields) -> Result<(), Vec<Problem>> {
        if self.dir.is_empty() { Err(vec![Problem::new(["dir"], "no directory has an empty name")]) } else { Ok(()) }
    }

    fn files(&self, _: &str) -> Option<(String, String)> {
        Some((self.dir.clone(), "x".to_owned()))
    }

    fn build(&self, _: &BuildContext) -> Result<Arc<DeadLetterSink>> {
        Err(Error::new("not in this test"))
    }
}

const ROWS_EXAMPLE: &str = "path = \"data.csv\"";

inventory::submit! { Descriptor::source::<Rows>("rows", ROWS_EXAMPLE) }
const CLAMP_EXAMPLE: &str = "ranges = { T = { min = -20.0, max = 50.0 } }";

inventory::submit! { Descriptor::transform::<Clamp>("clamp", CLAMP_EXAMPLE) }
const FILL_EXAMPLE: &str = "steps = [{ method = \"forward\", limit = 3 }]";

inventory::submit! { Descriptor::transform::<Fill>("fill", FILL_EXAMPLE) }
const LINES_EXAMPLE: &str = "path = \"out\"";

inventory::submit! { Descriptor::sink::<Lines>("lines", LINES_EXAMPLE).beside_content(&["path", "token"]) }
const HEAP_EXAMPLE: &str = "dir = \"dead\"";

inventory::submit! { Descriptor::dead_letter::<Heap>("heap", HEAP_EXAMPLE) }
