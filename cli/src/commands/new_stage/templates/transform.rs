//! The transform `my_stage`.

use aqpipe_engine::record::{Batch, Fields, Numbers};
use aqpipe_engine::stage::{BuildContext, Descriptor, Output, Problem, Transform, TransformConfig};
use aqpipe_engine::{Result, inventory};
use schemars::JsonSchema;
use serde::Deserialize;

/// Multiplies the values of a field.
///
/// These lines are the documentation of the stage: `aqpipe stages my_stage` shows them, and the comments of the options.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MyStage {
    /// The field.
    field: String,
    /// The factor.
    factor: f64,
}

const EXAMPLE: &str = "\
field = \"T\"
factor = 2.0
";

inventory::submit! { Descriptor::transform::<MyStage>("my_stage", EXAMPLE) }

impl TransformConfig for MyStage {
    // Called by `aqpipe validate`: finds the mistakes that types cannot find, and opens nothing.
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems: Vec<Problem> = Problem::unknown_field(["field"], &self.field, input).into_iter().collect();
        if !self.factor.is_finite() {
            problems.push(Problem::new(["factor"], "the factor is not a finite number"));
        }
        if problems.is_empty() { Ok(input.clone()) } else { Err(problems) }
    }

    // Sources yield these fields as numbers; without this line they would be text.
    fn numeric_fields(&self) -> Vec<String> {
        vec![self.field.clone()]
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Running { field: self.field.clone(), factor: self.factor }))
    }
}

/// The running transform: one for each split, on the thread of that split.
struct Running {
    field: String,
    factor: f64,
}

impl Transform for Running {
    fn apply(&mut self, mut batch: Batch, out: &mut Output) -> Result<()> {
        if let Some(index) = batch.fields().index(&self.field) {
            batch.change_numbers(index, |numbers| {
                let (mut values, nulls, quality) = numbers.into_vecs();
                values.iter_mut().for_each(|value| *value *= self.factor);
                Ok(Numbers::from_vecs(values, nulls, quality))
            })?;
        }
        out.batches.push(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::testing::{BatchBuilder, PipelineHarness, check_transform};

    const PIPELINE: &str = r#"
[[transform]]
type = "my_stage"
field = "T"
factor = 2.0
"#;

    #[test]
    fn values_are_multiplied_and_missing_ones_stay_missing() {
        let batch = BatchBuilder::new().numbers("T", [Some(1.5), None]).build();
        let out = PipelineHarness::from_toml(PIPELINE).push(batch);
        let numbers = out.batches[0].numbers(0).expect("numbers");
        assert_eq!([numbers.get(0), numbers.get(1)], [Some(3.0), None]);
    }

    #[test]
    fn it_does_what_a_run_relies_on() {
        check_transform(PIPELINE, &[BatchBuilder::new().numbers("T", (0..20).map(|n| Some(f64::from(n)))).build()]);
    }
}
