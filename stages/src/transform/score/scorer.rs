//! Scores batches.

use std::collections::HashMap;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Fields, Kind};
use aqpipe_engine::stage::{BuildContext, Output, Transform};
use arrow_array::{Array, Float64Array};
use indexmap::IndexMap;

use super::key_coverage::KeyCoverage;
use super::worth::{Fills, Values, WORTH_BITS_MASK, worth_table};
use crate::per_layout::PerLayout;
use crate::warn_once::WarnOnce;

/// Scores batches.
pub(super) struct Scorer {
    field: Arc<str>,
    /// The fields that count, and those of certain keys.
    fields: Option<Vec<String>>,
    fields_by_key: IndexMap<String, Vec<String>>,
    weights: IndexMap<String, f64>,
    worth: Vec<f64>,
    missing: f64,
    stage: Arc<str>,
    warned: Arc<WarnOnce>,
    plan: PerLayout<ScorePlan>,
    coverage: KeyCoverage,
}

/// How records of one layout are scored.
struct ScorePlan {
    /// The layout with the score's name.
    layout: Arc<Fields>,
    /// How records of most keys are, and those of certain keys.
    general: FieldsPlan,
    by_key: HashMap<String, FieldsPlan>,
}

/// How records are scored by one list of fields.
struct FieldsPlan {
    /// Column and weight of the scored fields that the layout has.
    columns: Vec<(usize, f64)>,
    /// The listed fields with their columns, as far as the layout has them.
    listed: Vec<(Arc<str>, Option<usize>)>,
    /// The share of the listed fields that the layout lacks in each record's sum.
    absent: f64,
    /// The sum of a perfect record, added up in the order of the columns: a perfect record then scores exactly 1, and because
    /// rounding is monotone no record scores more.
    perfect: f64,
}

impl ScorePlan {
    fn of_key(&self, key: Option<&str>) -> &FieldsPlan {
        key.and_then(|key| self.by_key.get(key)).unwrap_or(&self.general)
    }
}

impl Scorer {
    pub(super) fn new(
        field: &str,
        (fields, fields_by_key): (Option<Vec<String>>, IndexMap<String, Vec<String>>),
        weights: IndexMap<String, f64>,
        (values, fills): (&Values, &Fills),
        cx: &BuildContext,
    ) -> Scorer {
        Scorer {
            field: field.into(),
            fields,
            fields_by_key,
            weights,
            worth: worth_table(values, fills),
            missing: values.missing,
            stage: Arc::clone(cx.stage()),
            warned: cx.pipeline_extensions().get_or_put(WarnOnce::default),
            plan: PerLayout::default(),
            coverage: KeyCoverage::new(cx.metrics()),
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
        let of_key = |(key, fields): (&String, &Vec<String>)| (key.clone(), self.fields_plan(layout, Some(fields)));
        ScorePlan {
            layout: Arc::new(Fields { score: Some(self.name(layout)), ..layout.clone() }),
            general: self.fields_plan(layout, self.fields.as_ref()),
            by_key: self.fields_by_key.iter().map(of_key).collect(),
        }
    }

    fn fields_plan(&self, layout: &Fields, fields: Option<&Vec<String>>) -> FieldsPlan {
        let weight = |name: &str| self.weights.get(name).copied().unwrap_or(1.0);
        let (mut columns, mut listed, mut absent, mut absent_perfect) = (Vec::new(), Vec::new(), 0.0, 0.0);
        match fields {
            None => {
                let scored = layout.list.iter().enumerate().filter(|(_, f)| f.kind == Kind::Number && !f.derived);
                columns.extend(scored.map(|(index, field)| (index, weight(&field.name))));
            }
            Some(names) => {
                for name in names {
                    let found = layout.list.iter().position(|f| *f.name == **name && f.kind == Kind::Number);
                    match found {
                        Some(index) => columns.push((index, weight(name))),
                        None => {
                            absent += weight(name) * self.missing;
                            absent_perfect += weight(name);
                        }
                    }
                    listed.push((name.as_str().into(), found));
                }
            }
        }
        columns.retain(|(_, weight)| *weight > 0.0);
        let perfect = columns.iter().fold(absent_perfect, |sum, (_, weight)| sum + weight);
        FieldsPlan { columns, listed, absent, perfect }
    }

    /// The scores of records that are all scored by one list.
    fn scores(&self, batch: &Batch, plan: &FieldsPlan) -> Float64Array {
        if plan.perfect == 0.0 {
            return Float64Array::new_null(batch.rows());
        }
        let mut sums = vec![plan.absent; batch.rows()];
        for &(column, weight) in &plan.columns {
            let Some(numbers) = batch.numbers(column) else { continue };
            for (sum, quality) in sums.iter_mut().zip(numbers.quality.iter()) {
                *sum += weight * self.worth[(quality & WORTH_BITS_MASK) as usize];
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= plan.perfect);
        Float64Array::new(sums.into(), None)
    }

    /// The scores of records whose keys have lists of their own.
    fn scores_by_key(&self, batch: &Batch, plan: &ScorePlan) -> Float64Array {
        let score = |row| {
            let plan = plan.of_key(key_at(batch, row));
            let cell = |sum: f64, &(column, weight): &(usize, f64)| match batch.numbers(column) {
                Some(numbers) => sum + weight * self.worth[(numbers.quality[row] & WORTH_BITS_MASK) as usize],
                None => sum,
            };
            (plan.perfect > 0.0).then(|| plan.columns.iter().fold(plan.absent, cell) / plan.perfect)
        };
        (0..batch.rows()).map(score).collect()
    }
}

/// The key of a record, where it has one.
fn key_at(batch: &Batch, row: usize) -> Option<&str> {
    batch.key().filter(|keys| keys.is_valid(row)).map(|keys| keys.value(row))
}

impl Transform for Scorer {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let mut bound = std::mem::take(&mut self.plan);
        let plan = bound.get_or_bind(batch.fields(), |layout| self.plan(layout));
        let scores = match batch.key() {
            Some(_) if !plan.by_key.is_empty() => self.scores_by_key(&batch, plan),
            _ => self.scores(&batch, &plan.general),
        };
        let lists_fields = self.fields.is_some() || !self.fields_by_key.is_empty();
        for row in (0..batch.rows()).filter(|_| lists_fields) {
            let key = key_at(&batch, row);
            self.coverage.observe(&batch, row, key, &plan.of_key(key).listed);
        }
        let scored = batch.with_score(scores, &plan.layout);
        self.plan = bound;
        out.batches.push(scored?);
        Ok(())
    }
}
