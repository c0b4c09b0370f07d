//! The sum over the columns of a batch.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Fields, Kind};
use aqpipe_engine::stage::{BuildContext, Output, Transform};
use arrow_array::Float64Array;
use indexmap::IndexMap;

use super::{Fills, Score, Values};
use crate::codec::names::Told;
use crate::layout::Bound;

/// The bits of a mark that its worth depends on: flag, provenance, distance.
const WORTH_BITS: u32 = 0xffff;

/// What a cell is worth by the low bits of its mark. Half a megabyte, of which a run touches a handful of lines.
fn worth_of_marks(values: &Values, fills: &Fills) -> Vec<f64> {
    (0..=WORTH_BITS)
        .map(CellQuality)
        .map(|mark| values.of(mark.flag()) * fills.of(mark.provenance(), mark.distance()))
        .collect()
}

/// Scores batches.
pub(super) struct Scorer {
    field: Arc<str>,
    fields: Option<Vec<String>>,
    weights: IndexMap<String, f64>,
    worth: Vec<f64>,
    missing: f64,
    stage: Arc<str>,
    told: Arc<Told>,
    plan: Bound<Plan>,
}

/// How records of one layout are scored.
struct Plan {
    /// The layout with the score's name.
    layout: Arc<Fields>,
    /// Column and weight of the scored fields that are there.
    columns: Vec<(usize, f64)>,
    /// What the listed fields that are not there add to each record.
    absent: f64,
    /// The sum of a perfect record, added up in the order of the columns: a perfect record then divides to exactly
    /// 1, and since rounding is monotone no record comes out above it.
    perfect: f64,
}

impl Scorer {
    pub(super) fn new(config: &Score, cx: &BuildContext) -> Scorer {
        Scorer {
            field: config.field.as_str().into(),
            fields: config.fields.clone(),
            weights: config.weights.clone(),
            worth: worth_of_marks(&config.values, &config.fills),
            missing: config.values.missing,
            stage: Arc::clone(&cx.stage()),
            told: cx.pipeline_extensions().get_or_put(Told::default),
            plan: Bound::default(),
        }
    }

    /// What the score is called beside the fields of a layout, which keep their names.
    fn name(&self, layout: &Fields) -> Arc<str> {
        // An earlier score's name is free again: this one replaces it.
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
            self.told.warn(message, &format!("{}: {}", self.stage, self.field));
        }
        name
    }

    fn plan(&self, layout: &Fields) -> Plan {
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
        Plan { layout, columns, absent, perfect }
    }
}

impl Transform for Scorer {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let mut bound = std::mem::take(&mut self.plan);
        let plan = bound.to(batch.fields(), |layout| self.plan(layout));
        let scores = if plan.perfect > 0.0 {
            let mut sums = vec![plan.absent; batch.rows()];
            for &(column, weight) in &plan.columns {
                let Some(numbers) = batch.numbers(column) else { continue };
                for (sum, mark) in sums.iter_mut().zip(numbers.quality.iter()) {
                    *sum += weight * self.worth[(mark & WORTH_BITS) as usize];
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
