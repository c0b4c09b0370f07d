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
