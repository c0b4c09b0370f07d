//! The options of the stage, and its registration.

use std::time::Duration;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Field, Fields, Kind};
use aqpipe_engine::stage::{BuildContext, Descriptor, Problem, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;

use super::pivoter::Pivoter;
use super::settings::{Late, Settings};
use crate::measurement_checks::check_measurement;
use crate::seconds::Seconds;

/// Makes one record of all that have the same key and time: a column for each name in a field, with the values of another one.
///
/// Files and topics with one measurement a record (OpenAQ's, EEA's) get a field for each parameter, so that each has its own
/// fills, ranges and scores. With the values come their flags.
///
/// With `expect` a record leaves when all expected names are there, when a record of its key with a later time comes, or after
/// `max_wait`. Without it, nothing tells which columns there are before the input ends: all of it is held, up to `max_rows`. Input
/// that is sorted by name and not by time needs that, or `allowed_lateness`: by the rule of the next time most of its values
/// come late, and a warning says so.
///
/// A dead letter of such a record keeps all the records that it was made of, and a replay merges them again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pivot {
    /// The field that has the names: `parameter`.
    names: String,
    /// The field that has the values.
    values: String,
    /// The names that get a column, in this order. Records with others are left out, and counted as filtered. Absent, each name
    /// gets one, in the order in which they come, and the input has to end.
    #[schemars(length(min = 1))]
    expect: Option<Vec<String>>,
    /// The other fields that come along. Where the records of a row differ, the row has no value. One that is called as a measurement
    /// is written with `_` behind its name, and a warning says so. Default: those that hold text.
    keep: Option<Vec<String>>,
    /// How long a row waits for its values at most, by the wall clock: a text such as `"90s"`, or seconds. Default: no limit for
    /// a source that ends, 60 seconds for any other.
    max_wait: Option<Seconds>,
    /// How much later, in the time of the records, a record of its key may be before a row leaves incomplete: `"1d"` for files in
    /// which each parameter of a day has its hours one after the other. Default: not at all later.
    allowed_lateness: Option<Seconds>,
    /// What becomes of a value whose row has left, or has another value of that name: its record is a dead letter, or a "row" of
    /// its own.
    #[serde(default)]
    late: Late,
    /// How many records are held back at most in each split: a bound for memory. With `expect` the oldest rows go first, with a
    /// warning; without it the pipeline stops.
    #[serde(default = "Pivot::default_max_rows")]
    #[schemars(range(min = 1))]
    max_rows: u32,
}

/// The default of `max_wait` for a source that does not end.
const UNBOUNDED_WAIT_DEFAULT: Duration = Duration::from_secs(60);

const EXAMPLE: &str = r#"names = "parameter"
values = "value"
expect = ["pm25", "pm10", "o3", "no2"]
"#;

inventory::submit! { Descriptor::transform::<Pivot>("pivot", EXAMPLE) }

impl TransformConfig for Pivot {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems: Vec<Problem> = Problem::unknown_field(["names"], &self.names, input).into_iter().collect();
        problems.extend(check_measurement(&["values"], &self.values, input, false));
        if self.names == self.values {
            problems.push(Problem::new(["values"], "names and values cannot be in one field"));
        }
        for (index, name) in self.keep.iter().flatten().enumerate() {
            let at = ["keep".to_owned(), index.to_string()];
            if [&self.names, &self.values].contains(&name) {
                problems.push(Problem::new(at, format!("`{name}` becomes columns, and does not come along")));
            } else {
                problems.extend(Problem::unknown_field(at, name, input));
            }
        }
        let output = self.output(input);
        for (index, name) in self.expect.iter().flatten().enumerate() {
            let at = ["expect".to_owned(), index.to_string()];
            if self.expect.iter().flatten().take(index).any(|other| other == name) {
                problems.push(Problem::new(at, format!("the name `{name}` is listed twice")));
            } else if !self.rest(input).is_free(name) {
                problems.push(Problem::new(at, format!("records have a field `{name}` already")));
            }
        }
        for (key, is_set) in
            [("max_wait", self.max_wait.is_some()), ("allowed_lateness", self.allowed_lateness.is_some())]
        {
            if is_set && self.expect.is_none() {
                let problem =
                    Problem::new([key], format!("`{key}` needs `expect`: without it rows leave when the input ends"));
                problems.push(problem.at_key().help("list the names that get a column in `expect`"));
            }
        }
        if problems.is_empty() { Ok(output) } else { Err(problems) }
    }

    fn numeric_fields(&self) -> Vec<String> {
        vec![self.values.clone()]
    }

    fn rejects(&self) -> bool {
        true
    }

    fn changes_number_of_rows(&self) -> bool {
        true
    }

    fn requires_bounded(&self) -> Option<Problem> {
        let problem =
            Problem::new(["names"], "without `expect` all of the input is held, which needs a source that ends");
        self.expect
            .is_none()
            .then(|| problem.at_key().help("list the names that get a column: `expect = [\"pm25\", \"o3\"]`"))
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        let given = self.max_wait.and_then(|span| Duration::try_from_secs_f64(span.get()).ok());
        let settings = Settings {
            names: self.names.clone(),
            values: self.values.clone(),
            expect: self.expect.clone(),
            keep: self.keep.clone(),
            max_wait: given.or((!cx.is_bounded()).then_some(UNBOUNDED_WAIT_DEFAULT)).filter(|_| self.expect.is_some()),
            allowed_lateness: self.allowed_lateness.map_or(0, |span| (span.get() * 1e6).round() as u64),
            late: self.late,
            max_rows: u64::from(self.max_rows),
        };
        Ok(Box::new(Pivoter::new(settings, cx)))
    }
}

impl Pivot {
    fn default_max_rows() -> u32 {
        100_000
    }

    /// The fields that come along.
    fn rest(&self, input: &Fields) -> Fields {
        let comes = |field: &&Field| match &self.keep {
            Some(keep) => keep.iter().any(|name| **name == *field.name),
            None => field.kind == Kind::Text && *field.name != *self.names && *field.name != *self.values,
        };
        let list = input.list.iter().filter(comes).cloned().collect();
        Fields { list, score: None, ..input.clone() }
    }

    fn output(&self, input: &Fields) -> Fields {
        let mut output = self.rest(input);
        output.list.extend(self.expect.iter().flatten().map(|name| Field::number(name)));
        output.open = input.open || self.expect.is_none();
        output
    }
}
