//! The transform `clamp`: one that keeps nothing between records.

use aqpipe_engine::record::{Batch, Fields, Numbers};
use aqpipe_engine::stage::{BuildContext, Descriptor, Output, Problem, Transform, TransformConfig};
use aqpipe_engine::{Result, inventory};
use schemars::JsonSchema;
use serde::Deserialize;

/// Limits the values of a field: a value below `min` becomes `min`, one above `max` becomes `max`.
///
/// Flags and provenance of the values stay as they are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clamp {
    /// The field.
    field: String,
    /// The smallest value.
    min: f64,
    /// The largest value.
    max: f64,
}

const EXAMPLE: &str = "\
field = \"RH\"
min = 0.0
max = 100.0
";

inventory::submit! { Descriptor::transform::<Clamp>("clamp", EXAMPLE) }

impl TransformConfig for Clamp {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems: Vec<Problem> = Problem::unknown_field(["field"], &self.field, input).into_iter().collect();
        if self.min > self.max {
            problems.push(Problem::new(["min"], format!("min {} is above max {}", self.min, self.max)));
        }
        if problems.is_empty() { Ok(input.clone()) } else { Err(problems) }
    }

    fn numeric_fields(&self) -> Vec<String> {
        vec![self.field.clone()]
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Clamping { field: self.field.clone(), min: self.min, max: self.max }))
    }
}

struct Clamping {
    field: String,
    min: f64,
    max: f64,
}

impl Transform for Clamping {
    fn apply(&mut self, mut batch: Batch, out: &mut Output) -> Result<()> {
        if let Some(index) = batch.fields().index(&self.field) {
            batch.change_numbers(index, |numbers| {
                let (mut values, nulls, quality) = numbers.into_vecs();
                for value in &mut values {
                    *value = value.clamp(self.min, self.max);
                }
                Ok(Numbers::from_vecs(values, nulls, quality))
            })?;
        }
        out.batches.push(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::record::Field;
    use aqpipe_engine::testing::{BatchBuilder, PipelineHarness, check_transform};

    use super::*;

    const CLAMP: &str = "[[transform]]\ntype = \"clamp\"\nfield = \"RH\"\nmin = 0.0\nmax = 100.0\n";

    fn humidity() -> Batch {
        BatchBuilder::new().numbers("RH", [Some(-3.0), Some(55.5), None, Some(104.0)]).build()
    }

    #[test]
    fn values_beyond_an_end_become_that_end_and_missing_ones_stay_missing() {
        let out = PipelineHarness::from_toml(CLAMP).push(humidity());
        let clamped = out.batches[0].numbers(0).expect("numbers");
        let values: Vec<Option<f64>> = (0..4).map(|row| clamped.get(row)).collect();
        assert_eq!(values, [Some(0.0), Some(55.5), None, Some(100.0)]);
    }

    #[test]
    fn it_conforms() {
        check_transform(CLAMP, &[humidity()]);
    }

    #[test]
    fn a_wrong_span_and_an_unknown_field_are_found_before_anything_runs() {
        let fields = Fields { list: vec![Field::number("RH")], ..Fields::default() };
        let problems = Clamp { field: "RHH".into(), min: 2.0, max: 1.0 }.check(&fields).expect_err("two problems");
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[0].label.as_deref(), Some("did you mean `RH`?"));
    }
}
