//! The options of the stage, and its registration.

use std::time::Duration;

use aqpipe_engine::Result;
use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::{BuildContext, Descriptor, Fitter, Problem, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;

use super::chain::ImputeChain;
use super::constant_fill::ConstantFill;
use super::expanding_median::ExpandingMedian;
use super::field_binder::FieldSelection;
use super::fill_policy::FillPolicy;
use super::fitted_median::FittedMedian;
use super::gap_fill::GapFill;
use super::gap_rule::GapRule;
use super::imputer::Imputer;
use super::median_fit::MedianFitter;
use super::same_times::SameTimes;
use super::sampling::SamplingCheck;
use super::step::{Method, Over, Step};
use super::window_median::WindowMedian;
use crate::measurement_checks::check_measurements;

/// Fills missing values, step by step, each key and each field by itself.
///
/// Each step fills what the steps before it left missing. `forward_fill` (limit 3), `backward_fill` (limit 3), `median`
/// on a source that ends gives, cell for cell, what pandas gives by `ffill(limit=3)`, `bfill(limit=3)` and `fillna` of
/// the median. A filled value is never taken for an observed one: its flag becomes `unknown` until a later check
/// evaluates it, and its quality says which method filled it and how many records away the value was observed. A value
/// flagged `fail` is carried nowhere and counts for no median, but as a record in `limit`; one that a check emptied is filled
/// and stays flagged. A cell that could not be read, or that the publisher himself says is wrong, is no gap and stays empty
/// (`fill_failed`).
///
/// No value is carried against time: `forward_fill` takes the last value that is not later than the gap, `backward_fill` the
/// first that is not earlier, in whatever order the records of a key come. For a record that comes late the last four
/// values of its key are remembered, and the latest of all. A later value that came before it is carried back to it only if it came just
/// before, as in a file with its newest record first, or if no nearer one comes. Where one key has several records at one time, fills go from one to
/// the other: a warning, once a run, names the columns that differ between two of them, which may be parts of the key.
///
/// `backward_fill`, `interpolate` and `max_gap` hold rows back until later records of their key decide their missing
/// values. The order of rows is kept within a key, not across keys, so that a silent station blocks no other. Rows that
/// wait for longer than `max_wait_secs`, or more of them than `max_held`, go on without being filled by that step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Impute {
    /// The steps, in order.
    #[schemars(length(min = 1))]
    steps: Vec<Step>,
    /// The fields to fill. Default: all fields of numbers that `derive` did not make.
    fields: Option<Vec<String>>,
    /// Fields not to fill.
    #[serde(default)]
    exclude: Vec<String>,
    /// Also fill cells that could not be read (they fail the test `syntax`) and empty ones that the publisher says are wrong
    /// (they fail the test `source`), and take what a check emptied for a plain gap: a filled cell is flagged `unknown` then,
    /// whatever failed it, and the test stays among its `tests`. Absent, the former stay empty and `fail`; a cell that a check
    /// emptied is filled and stays `fail`.
    #[serde(default)]
    fill_failed: bool,
    /// How many seconds, by the wall clock, a row is held back at most. Default: no limit for a source that ends, 60
    /// for any other.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 31_536_000))]
    max_wait_secs: Option<f64>,
    /// How many rows a step holds back at most in each split: a bound for memory. The oldest go first, with a warning.
    #[serde(default = "default_max_held")]
    #[schemars(range(min = 1))]
    max_held: u32,
    /// How many megabytes the median over the whole input may take to count its distinct values, before the run. A value
    /// takes 20 to 39 bytes, for each key and field by itself.
    #[serde(default = "default_median_memory_mb")]
    #[schemars(range(min = 1, max = 1_000_000))]
    median_memory_mb: u32,
}

/// Some ten million distinct values: those of a hundred stations with a sensor of four digits for each of 13 fields.
const fn default_median_memory_mb() -> u32 {
    300
}

fn default_max_held() -> u32 {
    100_000
}

/// The default of `max_wait_secs` for a source that does not end.
const UNBOUNDED_WAIT_DEFAULT: Duration = Duration::from_secs(60);

const EXAMPLE: &str = r#"steps = [
  { method = "forward_fill", limit = 3 },
  { method = "backward_fill", limit = 3, max_age = "6h" },
  { method = "median", window = 720 },   # over the last 720 observed values
  { method = "constant", value = 0.0 },
]
exclude = ["AH"]
"#;

inventory::submit! { Descriptor::transform::<Impute>("impute", EXAMPLE).beside_content(&["median_memory_mb"]) }

impl TransformConfig for Impute {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems: Vec<Problem> =
            self.steps.iter().enumerate().flat_map(|(index, step)| step.check(index, input)).collect();
        if self.fields.is_some() && !self.exclude.is_empty() {
            let problem = Problem::new(["exclude"], "`fields` and `exclude` exclude each other");
            problems.push(problem.at_key().help("keep one of them"));
        }
        problems.extend(self.fields.iter().flat_map(|fields| check_measurements("fields", fields, input)));
        problems.extend(check_measurements("exclude", &self.exclude, input));
        if problems.is_empty() { Ok(input.clone()) } else { Err(problems) }
    }

    fn numeric_fields(&self) -> Vec<String> {
        let named = self.steps.iter().filter_map(|step| step.values.as_ref()).flat_map(|values| values.keys());
        let mut names: Vec<String> = self.fields.iter().flatten().chain(&self.exclude).chain(named).cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    fn fitter(&self, _cx: &BuildContext) -> Option<Box<dyn Fitter>> {
        self.steps
            .iter()
            .any(Step::needs_fit)
            .then(|| Box::new(MedianFitter::new(self.selection(), self.median_memory_mb)) as Box<dyn Fitter>)
    }

    fn requires_bounded(&self) -> Option<Problem> {
        let index = self.steps.iter().position(Step::needs_fit)?;
        let message = "a median over all values needs a source that ends: it reads the whole input first";
        let problem = Problem::new(["steps".to_owned(), index.to_string()], message);
        Some(problem.help("use `window = N` or `over = \"expanding\"` with the median, or the method `constant`"))
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        let mut steps: Vec<(Method, Box<dyn Imputer>)> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            steps.push((step.method, self.imputer(step, cx)?));
        }
        let same_times = SameTimes::new(self.fields.as_ref(), cx);
        Ok(Box::new(ImputeChain::new(self.selection(), steps, SamplingCheck::of(&self.steps, cx), same_times)))
    }
}

impl Impute {
    fn selection(&self) -> FieldSelection {
        FieldSelection { fields: self.fields.clone(), exclude: self.exclude.clone() }
    }

    fn imputer(&self, step: &Step, cx: &BuildContext) -> Result<Box<dyn Imputer>> {
        let policy = FillPolicy::new(self.fill_failed, cx.qc_tests());
        Ok(match step.method {
            Method::ForwardFill | Method::BackwardFill | Method::Interpolate => {
                let given = self.max_wait_secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
                let max_wait = given.or((!cx.is_bounded()).then_some(UNBOUNDED_WAIT_DEFAULT));
                Box::new(GapFill::new(GapRule::of(step, policy), max_wait, self.max_held as usize, cx))
            }
            Method::Median => match (step.window, step.over) {
                (Some(window), _) => Box::new(WindowMedian::new(window as usize, policy)),
                (None, Some(Over::Expanding)) => Box::new(ExpandingMedian::new(policy)),
                (None, Some(Over::All) | None) => Box::new(FittedMedian::new(cx.fitted(), policy)?),
            },
            Method::Constant => {
                Box::new(ConstantFill::new(step.value, step.values.clone().unwrap_or_default(), policy))
            }
        })
    }
}
