//! The options of `hampel`.

use aqpipe_engine::record::{FieldTest, Fields};
use aqpipe_engine::stage::{BuildContext, Descriptor, Problem, Transform, TransformConfig};
use aqpipe_engine::{Result, inventory};
use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::Filter;
use super::limits::Limits;

/// Flags spikes: values far from the median of their neighbours (a Hampel filter).
///
/// The neighbours of a value are the `radius` values of the same key before it and after it. Their median absolute
/// deviation, times 1.4826, estimates a standard deviation. A value that is more than `threshold` of these away from the
/// median is flagged suspect and names the test `hampel`; any other is good. A value with fewer than `radius` neighbours
/// is not evaluated. Rows are held back until the values after them have come.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hampel {
    /// The field.
    field: String,
    /// The number of neighbours on each side.
    #[serde(default = "Hampel::radius")]
    #[schemars(range(min = 1, max = 100))]
    radius: usize,
    /// The largest distance from the median that is good, in estimated standard deviations.
    #[serde(default = "Hampel::threshold")]
    threshold: f64,
    /// Distances up to this one are always good. Unit: that of the field.
    #[serde(default)]
    min_distance: f64,
    /// The number of records, of any key, that a row waits for at most.
    #[serde(default = "Hampel::lookahead")]
    #[schemars(range(min = 1, max = 100_000))]
    lookahead: usize,
}

const EXAMPLE: &str = "\
field = \"T\"
radius = 3
threshold = 4.0
min_distance = 0.5   # °C
";

inventory::submit! { Descriptor::transform::<Hampel>("hampel", EXAMPLE) }

impl Hampel {
    fn radius() -> usize {
        3
    }

    fn threshold() -> f64 {
        3.0
    }

    fn lookahead() -> usize {
        1_000
    }
}

impl TransformConfig for Hampel {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems: Vec<Problem> = Problem::unknown_field(["field"], &self.field, input).into_iter().collect();
        for (key, value) in [("threshold", self.threshold), ("min_distance", self.min_distance)] {
            if !(value >= 0.0 && value.is_finite()) {
                problems.push(Problem::new([key], format!("{value} is no distance")));
            }
        }
        if self.lookahead < self.radius {
            let problem =
                Problem::new(["lookahead"], format!("{} is less than the radius {}", self.lookahead, self.radius));
            problems
                .push(problem.help("with several keys in a split it has to be larger: that many records of all keys"));
        }
        if problems.is_empty() { Ok(input.clone()) } else { Err(problems) }
    }

    fn numeric_fields(&self) -> Vec<String> {
        vec![self.field.clone()]
    }

    fn tests(&self) -> Vec<FieldTest> {
        vec![FieldTest::new("hampel", &self.field)]
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        let limits = Limits { radius: self.radius, threshold: self.threshold, min_distance: self.min_distance };
        Ok(Box::new(Filter::new(self.field.clone(), limits, self.lookahead, cx.qc_tests().bit("hampel"))))
    }
}
