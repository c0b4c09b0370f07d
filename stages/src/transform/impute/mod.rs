//! Missing values, filled step by step.
//!
//! The steps form a [`chain`]; what flows through it is [`rows`]: a batch, the [`order`] of the rows of each of its
//! [`keys`], and where the fields are among its [`columns`]. A [`fill`] step finds the [`gaps`] of each key and field and settles them by its [`rule`],
//! holding back ([`held`]) the rows of those that later records decide. Medians (of everything by a [`survey`], of a
//! [`window`], [`expanding`]) and [`constant`]s hold nothing.

mod bits;
mod chain;
mod columns;
mod constant;
mod expanding;
mod fill;
mod gaps;
mod held;
mod keys;
mod median;
mod order;
mod rows;
mod rule;
mod step;
mod survey;
#[cfg(test)]
mod tests;
mod window;

use std::time::Duration;

use aqpipe_engine::Result;
use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::{BuildContext, Descriptor, Fitter, Problem, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;

use self::chain::{Chain, Pass};
use self::columns::Choice;
use self::constant::Constant;
use self::expanding::Expanding;
use self::fill::Fill;
use self::median::Fixed;
use self::rule::Rule;
use self::step::{Method, Over, Step};
use self::survey::MedianSurvey;
use self::window::Window;
use crate::layout::check_list;

/// Fills missing values, step by step, each key and each field by itself.
///
/// Each step fills what the steps before it left missing. `forward_fill` (limit 3), `backward_fill` (limit 3), `median`
/// on a source that ends gives, cell for cell, what pandas gives by `ffill(limit=3)`, `bfill(limit=3)` and `fillna` of
/// the median. A filled value is never taken for an observed one: its flag becomes `unknown` until a later check
/// evaluates it, and its mark says which method filled it and how many records away the value was observed. A value
/// flagged `fail` is carried nowhere and counts for no median; one that a check emptied is filled and stays flagged.
///
/// `backward_fill`, `interpolate` and `max_gap` hold rows back until later records of their key decide their missing
/// values. The order of rows is kept within a key, not across keys, so that a silent station blocks no other. Rows that
/// wait for longer than `max_wait_secs`, or more of them than `max_held`, go on without being filled by that step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Impute {
    /// What to try, in order.
    #[schemars(length(min = 1))]
    steps: Vec<Step>,
    /// The fields to fill. Default: all fields of numbers that `derive` did not make.
    fields: Option<Vec<String>>,
    /// Fields not to fill.
    #[serde(default)]
    exclude: Vec<String>,
    /// How many seconds, by the wall clock, a row is held back at most. Default: no limit for a source that ends, 60
    /// for any other.
    #[schemars(extend("exclusiveMinimum" = 0))]
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

/// How long rows wait where the source does not end and nothing else is said.
const MAX_WAIT: Duration = Duration::from_secs(60);

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
        problems.extend(self.fields.iter().flat_map(|fields| check_list("fields", fields, input)));
        problems.extend(check_list("exclude", &self.exclude, input));
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
            .any(Step::surveys)
            .then(|| Box::new(MedianSurvey::new(self.choice(), self.median_memory_mb)) as Box<dyn Fitter>)
    }

    fn requires_bounded(&self) -> Option<Problem> {
        let index = self.steps.iter().position(Step::surveys)?;
        let message = "a median over all values needs a source that ends: it reads the whole input first";
        let problem = Problem::new(["steps".to_owned(), index.to_string()], message);
        Some(problem.help("use `window = N` or `over = \"expanding\"` with the median, or the method `constant`"))
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        let mut steps: Vec<(Method, Box<dyn Pass>)> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            steps.push((step.method, self.pass(step, cx)?));
        }
        Ok(Box::new(Chain::new(self.choice(), steps)))
    }
}

impl Impute {
    fn choice(&self) -> Choice {
        Choice { fields: self.fields.clone(), exclude: self.exclude.clone() }
    }

    fn pass(&self, step: &Step, cx: &BuildContext) -> Result<Box<dyn Pass>> {
        Ok(match step.method {
            Method::ForwardFill | Method::BackwardFill | Method::Interpolate => {
                let given = self.max_wait_secs.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
                let max_wait = given.or((!cx.is_bounded()).then_some(MAX_WAIT));
                Box::new(Fill::new(Rule::of(step), max_wait, self.max_held as usize, cx))
            }
            Method::Median => match (step.window, step.over) {
                (Some(window), _) => Box::new(Window::new(window as usize)),
                (None, Some(Over::Expanding)) => Box::new(Expanding::default()),
                (None, Some(Over::All) | None) => Box::new(Fixed::new(cx.fitted().as_deref())?),
            },
            Method::Constant => Box::new(Constant::new(step.value, step.values.clone().unwrap_or_default())),
        })
    }
}
