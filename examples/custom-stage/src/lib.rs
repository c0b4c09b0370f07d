//! A transform in a crate of its own, as a third party would write one.

use aqpipe_engine::record::{Batch, Fields, Numbers};
use aqpipe_engine::stage::{BuildContext, Descriptor, Output, Problem, Transform, TransformConfig};
use aqpipe_engine::{Result, inventory};
use schemars::JsonSchema;
use serde::Deserialize;

/// Limits the values of a field to a span: what lies beyond an end becomes that end.
///
/// Flags and provenance stay as they are: it changes numbers, and says nothing of their quality.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clamp {
    /// The field.
    field: String,
    /// The least value.
    min: f64,
    /// The greatest value.
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
                let (mut values, nulls, marks) = numbers.into_vecs();
                for value in &mut values {
                    *value = value.clamp(self.min, self.max);
                }
                Ok(Numbers::from_vecs(values, nulls, marks))
            })?;
        }
        out.batches.push(batch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aqpipe_engine::arrow_array::Float64Array;
    use aqpipe_engine::record::{BatchParts, Column, Field};
    use aqpipe_engine::stage::{Registry, Role};
    use aqpipe_stages as _;

    use super::*;

    fn humidity(values: Vec<Option<f64>>) -> Batch {
        let rows = values.len();
        Batch::new(BatchParts {
            fields: Arc::new(Fields { list: vec![Field::number("RH")], ..Fields::default() }),
            time: vec![0; rows].into(),
            utc_offset: vec![0; rows].into(),
            key: None,
            columns: vec![Column::Number(Numbers::observed(Float64Array::from(values)))],
            score: None,
            source_offsets: (0..rows as u64).collect::<Vec<_>>().into(),
            raw: None,
        })
        .expect("parts that fit")
    }

    #[test]
    fn values_beyond_an_end_become_that_end_and_missing_ones_stay_missing() {
        let clamp = Clamp { field: "RH".into(), min: 0.0, max: 100.0 };
        let mut transform = clamp.build(&BuildContext::for_tests()).expect("builds");
        let mut out = Output::default();
        transform.apply(humidity(vec![Some(-3.0), Some(55.5), None, Some(104.0)]), &mut out).expect("applies");
        let clamped = out.batches[0].numbers(0).expect("numbers");
        let values: Vec<Option<f64>> = (0..4).map(|row| clamped.get(row)).collect();
        assert_eq!(values, [Some(0.0), Some(55.5), None, Some(100.0)]);
    }

    #[test]
    fn a_wrong_span_and_an_unknown_field_are_found_before_anything_runs() {
        let fields = Fields { list: vec![Field::number("RH")], ..Fields::default() };
        let problems = Clamp { field: "RHH".into(), min: 2.0, max: 1.0 }.check(&fields).expect_err("two problems");
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[0].label.as_deref(), Some("did you mean `RH`?"));
    }

    #[test]
    fn it_stands_in_the_registry_beside_the_stages_that_ship() {
        let registry = Registry::collect().expect("stages");
        assert!(registry.get(Role::Transform, "clamp").is_some());
        assert!(registry.get(Role::Transform, "impute").is_some());
    }
}
