//! One step of an imputation: its options, and which method takes which.

use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::Problem;
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::measurement_checks::check_measurement;
use crate::seconds::Seconds;

/// One way to fill missing values, applied to what the steps before it left missing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = add_conditions)]
pub(super) struct Step {
    /// How values are filled.
    pub(super) method: Method,
    /// The most records of a key that a value is carried or, from the left, interpolated over. Of a longer gap
    /// `forward_fill` and `interpolate` fill the first so many, `backward_fill` the last. Default: no limit.
    #[schemars(range(min = 1))]
    pub(super) limit: Option<u32>,
    /// Leave a gap alone altogether where its neighbours lie further apart than this, in the time of the records: a text
    /// such as `"6h"` (ms, s, min, h, d), or seconds. Default: no limit.
    pub(super) max_gap: Option<Seconds>,
    /// Do not carry a value further than this, in the time of the records: a text such as `"6h"`, or seconds. Default: no
    /// limit.
    pub(super) max_age: Option<Seconds>,
    /// What the line of `interpolate` goes by. Default: `time`.
    pub(super) by: Option<By>,
    /// Over which observed values of the key and field a median is taken. Default: `all`, unless `window` is given.
    pub(super) over: Option<Over>,
    /// Take the median over the last so many observed values of the key and field.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) window: Option<u32>,
    /// The value for every field, in the unit of the field.
    pub(super) value: Option<f64>,
    /// The value of each field, in its unit; goes before `value`. A field that neither names stays as it is.
    pub(super) values: Option<IndexMap<String, f64>>,
}

/// How missing values are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    /// The last value before. pandas: `ffill`.
    ForwardFill,
    /// The first value after. pandas: `bfill`. Holds rows back until it is there.
    BackwardFill,
    /// On the line between the values around, by their times. pandas: `interpolate(method="time")`, inside only; with
    /// `by = "records"` each record counts the same, as in pandas' `interpolate`.
    /// Holds rows back until the gap ends, whatever the `limit`; `max_gap` bounds that.
    Interpolate,
    /// The median of observed values that no check failed.
    Median,
    /// A value of the configuration.
    Constant,
}

/// What an interpolation goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    /// The times of the records.
    #[default]
    Time,
    /// Their number: each counts the same.
    Records,
}

/// Over which observed values a median is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Over {
    /// The whole input, which is read once before the run. Exact; for a source that ends.
    All,
    /// All values so far. Exact, for at most a million distinct ones in a split.
    Expanding,
}

/// An option of a step: its key, whether a step has it, and the methods that take it.
struct StepOption {
    name: &'static str,
    given: fn(&Step) -> bool,
    methods: &'static [Method],
}

/// Which method takes which key, for `check` and for the JSON Schema.
const STEP_OPTIONS: [StepOption; 8] = {
    use Method::{BackwardFill, Constant, ForwardFill, Interpolate, Median};
    [
        StepOption {
            name: "limit",
            given: |step| step.limit.is_some(),
            methods: &[ForwardFill, BackwardFill, Interpolate],
        },
        StepOption {
            name: "max_gap",
            given: |step| step.max_gap.is_some(),
            methods: &[ForwardFill, BackwardFill, Interpolate],
        },
        StepOption { name: "max_age", given: |step| step.max_age.is_some(), methods: &[ForwardFill, BackwardFill] },
        StepOption { name: "by", given: |step| step.by.is_some(), methods: &[Interpolate] },
        StepOption { name: "over", given: |step| step.over.is_some(), methods: &[Median] },
        StepOption { name: "window", given: |step| step.window.is_some(), methods: &[Median] },
        StepOption { name: "value", given: |step| step.value.is_some(), methods: &[Constant] },
        StepOption { name: "values", given: |step| step.values.is_some(), methods: &[Constant] },
    ]
};

impl Method {
    const ALL: [Method; 5] =
        [Method::ForwardFill, Method::BackwardFill, Method::Interpolate, Method::Median, Method::Constant];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Method::ForwardFill => "forward_fill",
            Method::BackwardFill => "backward_fill",
            Method::Interpolate => "interpolate",
            Method::Median => "median",
            Method::Constant => "constant",
        }
    }

    /// The keys that it takes, in words.
    fn keys(self) -> String {
        let keys = STEP_OPTIONS.iter().filter(|key| key.methods.contains(&self)).map(|key| format!("`{}`", key.name));
        keys.collect::<Vec<_>>().join(", ")
    }
}

impl Step {
    /// Whether it has to see the whole input before the run.
    pub(super) fn needs_fit(&self) -> bool {
        self.method == Method::Median && self.window.is_none() && self.over != Some(Over::Expanding)
    }

    /// The problems of the `index`-th step.
    pub(super) fn check(&self, index: usize, input: &Fields) -> Vec<Problem> {
        let step = index.to_string();
        let at = |key: &str| ["steps".to_owned(), step.clone(), key.to_owned()];
        let misplaced = STEP_OPTIONS.iter().filter(|key| (key.given)(self) && !key.methods.contains(&self.method));
        let mut problems: Vec<Problem> = misplaced
            .map(|key| {
                Problem::new(at(key.name), format!("the method `{}` takes no `{}`", self.method.name(), key.name))
                    .at_key()
                    .help(format!("its keys are {}", self.method.keys()))
            })
            .collect();
        if self.method == Method::Constant && self.value.is_none() && self.values.is_none() {
            let problem = Problem::new(["steps", &step], "the method `constant` needs a value");
            problems.push(problem.help("give `value`, or `values = { FIELD = … }`"));
        }
        if self.over.is_some() && self.window.is_some() {
            let problem = Problem::new(at("over"), "a median is taken over either `over` or `window`");
            problems.push(problem.at_key().help("keep one of them"));
        }
        for name in self.values.iter().flat_map(IndexMap::keys) {
            problems.extend(check_measurement(&["steps", &step, "values", name], name, input, true));
        }
        problems
    }
}

/// Adds to the JSON Schema what [`STEP_OPTIONS`] says: a method forbids the keys that it does not take.
fn add_conditions(schema: &mut Schema) {
    let conditions: Vec<_> = Method::ALL
        .iter()
        .map(|method| {
            let others = STEP_OPTIONS.iter().filter(|key| !key.methods.contains(method));
            let forbidden: serde_json::Map<_, _> = others.map(|key| (key.name.to_owned(), json!(false))).collect();
            json!({
                "if": { "properties": { "method": { "const": method.name() } }, "required": ["method"] },
                "then": { "properties": forbidden },
            })
        })
        .collect();
    schema.insert("allOf".to_owned(), json!(conditions));
}
