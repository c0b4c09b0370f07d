//! Scores batches.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Fields, Kind};
use aqpipe_engine::stage::{BuildContext, Output, Transform};
use arrow_array::Float64Array;
use indexmap::IndexMap;

use super::worth::{Fills, Values, WORTH_BITS_MASK, worth_table};
use crate::per_layout::PerLayout;
use crate::warn_once::WarnOnce;

/// Scores batches.
pub(super) struct Scorer {
    field: Arc<str>,
    fields: Option<Vec<String>>,
    weights: IndexMap<String, f64>,
    worth: Vec<f64>,
    missing: f64,
    stage: Arc<str>,
    warned: Arc<WarnOnce>,
    plan: PerLayout<ScorePlan>,
}

/// How records of one layout are scored.
struct ScorePlan {
    /// The layout with the score's name.
    layout: Arc<Fields>,
    /// Column and weight of the scored fields that the layout has.
    columns: Vec<(usize, f64)>,
    /// The share of the listed fields that the layout lacks in each record's sum.
    absent: f64,
    /// The sum of a perfect record, added up in the order of the columns: a perfect record then scores exactly 1, and because
    /// rounding is monotone no record scores more.
    perfect: f64,
}

impl Scorer {
    pub(super) fn new(
        field: &str,
        fields: Option<Vec<String>>,
        weights: IndexMap<String, f64>,
        (values, fills): (&Values, &Fills),
        cx: &BuildContext,
    ) -> Scorer {
        Scorer {
            field: field.into(),
            fields,
            weights,
            worth: worth_table(values, fills),
            missing: values.missing,
            stage: Arc::clone(cx.stage()),
            warned: cx.pipeline_extensions().get_or_put(WarnOnce::default),
            plan: PerLayout::default(),
        }
    }

    /// The score's name beside the fields of a layout, which keep their names.
    fn name(&self, layout: &Fields) -> Arc<str> {
        // An earlier score's name is free: this score replaces it.
        let layout = Fields { score: None, ..layout.clone() };
        let mut name = Arc::clone(&self.field);
        while !layout.is_free(&name) {
            name = format!("{name}_").into();
        }
        if name != self.field {
            let message = || {
                format!(
                    "`{}` is a field of the records as they come and the score of `{}`: the field is kept, and the score of \
                     such records is called `{name}`; `field` gives it another name",
                    self.field, self.stage
                )
            };
            self.warned.warn(message, &format!("{}: {}", self.stage, self.field));
        }
        name
    }

    fn plan(&self, layout: &Fields) -> ScorePlan {
        let weight = |name: &str| self.weights.get(name).copied().unwrap_or(1.0);
        let (mut columns, mut absent, mut absent_perfect) = (Vec::new(), 0.0, 0.0);
        match &self.fields {
            None => {
                let scored = layout.list.iter().enumerate().filter(|(_, f)| f.kind == Kind::Number && !f.derived);
                columns.extend(scored.map(|(index, field)| (index, weight(&field.name))));
            }
            Some(names) => {
                for name in names {
                    match layout.list.iter().position(|f| *f.name == **name && f.kind == Kind::Number) {
                        Some(index) => columns.push((index, weight(name))),
                        None => {
                            absent += weight(name) * self.missing;
                            absent_perfect += weight(name);
                        }
                    }
                }
            }
        }
        columns.retain(|(_, weight)| *weight > 0.0);
        let perfect = columns.iter().fold(absent_perfect, |sum, (_, weight)| sum + weight);
        let layout = Arc::new(Fields { score: Some(self.name(layout)), ..layout.clone() });
        ScorePlan { layout, columns, absent, perfect }
    }
}

impl Transform for Scorer {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let mut bound = std::mem::take(&mut self.plan);
        let plan = bound.get_or_bind(batch.fields(), |layout| self.plan(layout));
        let scores = if plan.perfect > 0.0 {
            let mut sums = vec![plan.absent; batch.rows()];
            for &(column, weight) in &plan.columns {
                let Some(numbers) = batch.numbers(column) else { continue };
                for (sum, quality) in sums.iter_mut().zip(numbers.quality.iter()) {
                    *sum += weight * self.worth[(quality & WORTH_BITS_MASK) as usize];
                }
            }
            sums.iter_mut().for_each(|sum| *sum /= plan.perfect);
            Float64Array::new(sums.into(), None)
        } else {
            Float64Array::new_null(batch.rows())
        };
        let scored = batch.with_score(scores, &plan.layout);
        self.plan = bound;
        out.batches.push(scored?);
        Ok(())
    }
}
