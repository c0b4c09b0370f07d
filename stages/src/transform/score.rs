//! One number for the quality of a record.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Fields, Flag, Kind, Mark, Provenance};
use aqpipe_engine::stage::{BuildContext, Descriptor, Output, Problem, Transform, TransformConfig};
use arrow_array::Float64Array;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::layout::{Bound, check_list, no_measurement};

/// Gives each record a score from 0 (nothing is known) to 1 (every value observed, and no check objected).
///
/// The score is the weighted mean `Σ w·v(flag)·m(provenance) / Σ w` over the scored fields: `values` say what a flag
/// is worth, `fills` what a value is worth by where it came from. A fill from the k-th record before or after counts
/// `fill` to the power of k, so a value carried further is worth less. A listed field that a record does not have
/// counts as missing. The score replaces one that the record had before; a record without any scored field has none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Score {
    /// The name of the score where records are written.
    #[serde(default = "default_field")]
    #[schemars(length(min = 1))]
    field: String,
    /// The fields that count. Default: all fields of numbers that `derive` did not make.
    #[schemars(length(min = 1))]
    fields: Option<Vec<String>>,
    /// What a field weighs against the others, at least 0. Default: 1 each.
    #[serde(default)]
    #[schemars(extend("additionalProperties" = { "type": "number", "minimum": 0 }))]
    weights: IndexMap<String, f64>,
    /// What a flag is worth, 0 to 1.
    #[serde(default)]
    values: Values,
    /// What a value is worth by where it came from, 0 to 1.
    #[serde(default)]
    fills: Fills,
}

fn default_field() -> String {
    "quality_score".to_owned()
}

/// What a flag is worth, 0 to 1.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Values {
    /// Every check that ran passed.
    #[schemars(range(min = 0.0, max = 1.0))]
    good: f64,
    /// No check evaluated it.
    #[schemars(range(min = 0.0, max = 1.0))]
    unknown: f64,
    /// Out of the usual.
    #[schemars(range(min = 0.0, max = 1.0))]
    suspect: f64,
    /// Wrong.
    #[schemars(range(min = 0.0, max = 1.0))]
    fail: f64,
    /// There was no value, and nothing filled it.
    #[schemars(range(min = 0.0, max = 1.0))]
    missing: f64,
}

impl Default for Values {
    fn default() -> Self {
        Values { good: 1.0, unknown: 1.0, suspect: 0.5, fail: 0.0, missing: 0.0 }
    }
}

/// What a value is worth by where it came from, 0 to 1. What `derive` computed counts as 1.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Fills {
    /// From the source.
    #[schemars(range(min = 0.0, max = 1.0))]
    observed: f64,
    /// Forward or backward fill, for each record between the value and its donor.
    #[schemars(range(min = 0.0, max = 1.0))]
    fill: f64,
    /// Between the values around it.
    #[schemars(range(min = 0.0, max = 1.0))]
    interpolated: f64,
    /// A median.
    #[schemars(range(min = 0.0, max = 1.0))]
    median: f64,
    /// A constant of the configuration.
    #[schemars(range(min = 0.0, max = 1.0))]
    constant: f64,
}

impl Default for Fills {
    fn default() -> Self {
        Fills { observed: 1.0, fill: 0.9, interpolated: 0.85, median: 0.2, constant: 0.2 }
    }
}

inventory::submit! { Descriptor::transform::<Score>() }

impl TransformConfig for Score {
    const NAME: &'static str = "score";
    const EXAMPLE: &'static str = r#"type = "score"
fields = ["CO(GT)", "NOx(GT)", "T"]
weights = { "CO(GT)" = 2.0 }
values = { suspect = 0.5 }
fills = { fill = 0.9, median = 0.2 }
"#;

    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems = self.check_name(input);
        if let Some(fields) = &self.fields {
            problems.extend(check_list("fields", fields, input));
        }
        problems.extend(self.check_weights(input));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Fields { score: Some(self.field.as_str().into()), ..input.clone() })
    }

    fn measures(&self) -> Vec<String> {
        let mut names = self.fields.clone().unwrap_or_default();
        names.extend(self.weights.keys().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
        names
    }

    fn build(&self, _cx: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Scorer {
            field: self.field.as_str().into(),
            fields: self.fields.clone(),
            weights: self.weights.clone(),
            worth: worth_of_marks(&self.values, &self.fills),
            missing: self.values.missing,
            plan: Bound::default(),
        }))
    }
}

impl Score {
    fn check_name(&self, input: &Fields) -> Vec<Problem> {
        // An earlier score's name is free again: this one replaces it.
        let taken = !Fields { score: None, ..input.clone() }.is_free(&self.field);
        if taken {
            let problem = Problem::new(["field"], format!("records have a field `{}` already", self.field));
            vec![problem.help("choose another name for the score by `field`")]
        } else {
            Vec::new()
        }
    }

    fn check_weights(&self, input: &Fields) -> Vec<Problem> {
        let mut problems = Vec::new();
        for name in self.weights.keys() {
            let at = ["weights", name];
            match &self.fields {
                Some(fields) if !fields.contains(name) => problems.push(
                    Problem::new(at, format!("`{name}` has a weight but is not scored"))
                        .at_key()
                        .help("add it to `fields`, or take its weight out"),
                ),
                Some(_) => {}
                None => problems.extend(no_measurement(&at, name, input, true)),
            }
        }
        let none_left = match &self.fields {
            Some(fields) => !fields.is_empty() && fields.iter().all(|name| self.weight(name) == 0.0),
            None => {
                let mut scored =
                    input.list.iter().filter(|field| field.kind != Kind::Text && !field.derived).peekable();
                !input.open && scored.peek().is_some() && scored.all(|field| self.weight(&field.name) == 0.0)
            }
        };
        if none_left {
            problems.push(Problem::new(["weights"], "every scored field has the weight 0"));
        }
        problems
    }

    fn weight(&self, name: &str) -> f64 {
        self.weights.get(name).copied().unwrap_or(1.0)
    }
}

impl Values {
    fn of(&self, flag: Flag) -> f64 {
        match flag {
            Flag::Good => self.good,
            Flag::Unknown => self.unknown,
            Flag::Suspect => self.suspect,
            Flag::Fail => self.fail,
            Flag::Missing => self.missing,
        }
    }
}

impl Fills {
    fn of(&self, provenance: Provenance, distance: u8) -> f64 {
        match provenance {
            Provenance::Observed => self.observed,
            Provenance::ForwardFill | Provenance::BackwardFill => self.fill.powi(i32::from(distance)),
            Provenance::Interpolated => self.interpolated,
            Provenance::Median => self.median,
            Provenance::Constant => self.constant,
            Provenance::Derived => 1.0,
        }
    }
}

/// The bits of a mark that its worth depends on: flag, provenance, distance.
const WORTH_BITS: u32 = 0xffff;

/// What a cell is worth by the low bits of its mark. Half a megabyte, of which a run touches a handful of lines.
fn worth_of_marks(values: &Values, fills: &Fills) -> Vec<f64> {
    (0..=WORTH_BITS)
        .map(Mark)
        .map(|mark| values.of(mark.flag()) * fills.of(mark.provenance(), mark.distance()))
        .collect()
}

struct Scorer {
    field: Arc<str>,
    fields: Option<Vec<String>>,
    weights: IndexMap<String, f64>,
    worth: Vec<f64>,
    missing: f64,
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
        let layout = Arc::new(Fields { score: Some(Arc::clone(&self.field)), ..layout.clone() });
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
                for (sum, mark) in sums.iter_mut().zip(numbers.marks.iter()) {
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

#[cfg(test)]
mod tests {
    use aqpipe_engine::record::{Column, Field, Numbers};
    use serde_json::json;

    use super::*;
    use crate::testing::{batch, numbers, one, problems, schema_takes, transform};

    fn build(table: serde_json::Value) -> Box<dyn Transform> {
        transform("score", table).build(&BuildContext::for_tests()).expect("builds")
    }

    fn marked(columns: &[(&str, &[Mark])]) -> Batch {
        let values: Vec<_> = columns.iter().map(|(_, marks)| vec![Some(1.0); marks.len()]).collect();
        let cells: Vec<_> = columns.iter().zip(&values).map(|((name, _), values)| (*name, &values[..])).collect();
        let mut rows = batch(&cells);
        for (index, (_, marks)) in columns.iter().enumerate() {
            let bits = marks.iter().map(|mark| mark.0).collect();
            let change = |numbers: Numbers| Ok(Numbers::from_vecs(numbers.into_vecs().0, None, bits));
            rows.change_numbers(index, change).expect("changed");
        }
        rows
    }

    fn scores(scored: &Batch) -> Vec<f64> {
        scored.score().expect("scored").values().to_vec()
    }

    #[test]
    fn flags_and_provenance_are_worth_what_the_documentation_says() {
        let cells = [
            (Mark::OBSERVED, 1.0),
            (Mark::OBSERVED.checked(Flag::Good, 1), 1.0),
            (Mark::OBSERVED.checked(Flag::Suspect, 1), 0.5),
            (Mark::OBSERVED.checked(Flag::Fail, 1), 0.0),
            (Mark::MISSING, 0.0),
            (Mark::MISSING.filled(Provenance::ForwardFill, 1), 0.9),
            (Mark::MISSING.filled(Provenance::BackwardFill, 3), 0.9 * 0.9 * 0.9),
            (Mark::MISSING.filled(Provenance::Interpolated, 0), 0.85),
            (Mark::MISSING.filled(Provenance::Median, 0), 0.2),
            (Mark::MISSING.filled(Provenance::Constant, 0).checked(Flag::Suspect, 3), 0.1),
            (Mark::DERIVED, 1.0),
        ];
        let scored = one(&mut *build(json!({})), marked(&[("CO", &cells.map(|(mark, _)| mark))]));
        for (score, (mark, expected)) in scores(&scored).iter().zip(cells) {
            assert!((score - expected).abs() < 1e-15, "{mark:?} scores {score}, not {expected}");
        }
        assert_eq!(scored.fields().score.as_deref(), Some("quality_score"));
    }

    #[test]
    fn a_perfect_record_scores_exactly_1_and_none_more_whatever_the_weights() {
        for seed in 1..200_u32 {
            let names: Vec<String> = (0..13).map(|i| format!("f{i}")).collect();
            let weights: serde_json::Map<String, serde_json::Value> = names
                .iter()
                .enumerate()
                .map(|(i, name)| {
                    (name.clone(), json!(f64::from(seed.wrapping_mul(i as u32 * 977 + 13) % 1009 + 1) / 7.3))
                })
                .collect();
            let perfect = [Mark::OBSERVED.checked(Flag::Good, 1)];
            let columns: Vec<(&str, &[Mark])> = names.iter().map(|name| (name.as_str(), &perfect[..])).collect();
            let scored = one(&mut *build(json!({ "weights": weights })), marked(&columns));
            assert_eq!(scores(&scored), [1.0]);
        }
    }

    #[test]
    fn weights_shift_the_mean_and_a_listed_field_that_is_not_there_counts_as_missing() {
        let rows = || marked(&[("CO", &[Mark::OBSERVED]), ("T", &[Mark::MISSING])]);
        let score = |table| scores(&one(&mut *build(table), rows()))[0];
        assert_eq!(score(json!({})), 0.5);
        assert_eq!(score(json!({ "weights": { "CO": 3.0 } })), 0.75);
        assert_eq!(score(json!({ "weights": { "T": 0 } })), 1.0);
        assert_eq!(score(json!({ "fields": ["CO", "RH", "AH", "NOx"] })), 0.25);
    }

    #[test]
    fn derived_fields_count_only_where_they_are_listed_and_an_earlier_score_is_replaced() {
        let mut parts = marked(&[("CO", &[Mark::MISSING]), ("hour", &[Mark::DERIVED])]).into_parts();
        let mut layout = Fields::clone(&parts.fields);
        layout.list[1].derived = true;
        layout.score = Some("old".into());
        parts.fields = Arc::new(layout);
        parts.score = Some(vec![0.3].into());
        let rows = Batch::new(parts).expect("fits");
        let scored = one(&mut *build(json!({ "field": "q" })), rows.clone());
        assert_eq!((scores(&scored), scored.fields().score.as_deref()), (vec![0.0], Some("q")));
        assert_eq!(scores(&one(&mut *build(json!({ "fields": ["CO", "hour"] })), rows)), [0.5]);
    }

    #[test]
    fn a_record_without_a_scored_field_has_no_score() {
        let layout = Fields { list: vec![Field::text("note")], ..Fields::default() };
        let mut parts = batch(&[("x", &[Some(1.0)])]).into_parts();
        parts.columns = vec![Column::Text(vec![Some("a")].into())];
        parts.fields = Arc::new(layout);
        let scored = one(&mut *build(json!({})), Batch::new(parts).expect("fits"));
        assert_eq!(scored.score().map(arrow_array::Array::null_count), Some(1));
    }

    #[test]
    fn figures_weights_and_names_that_cannot_be_are_problems_at_their_place() {
        let input = numbers(&["CO", "T"]);
        let says = |table: serde_json::Value| problems("score", table, &input);
        assert!(says(json!({})).is_empty());
        assert_eq!(says(json!({ "field": "CO" })), ["field: records have a field `CO` already"]);
        assert_eq!(says(json!({ "field": "timestamp" })), ["field: records have a field `timestamp` already"]);
        assert_eq!(says(json!({ "fields": ["CO", "CO"] })), ["fields.1: the field `CO` is listed twice"]);
        let unscored = says(json!({ "fields": ["CO"], "weights": { "T": 1 } }));
        assert_eq!(unscored, ["weights.T: `T` has a weight but is not scored"]);
        let zero = says(json!({ "weights": { "T": 0, "CO": 0 } }));
        assert_eq!(zero, ["weights: every scored field has the weight 0"]);
    }

    #[test]
    fn the_schema_refuses_figures_outside_0_to_1_and_negative_weights() {
        let takes = |table| schema_takes("score", &table);
        assert!(takes(json!({ "fills": { "median": 1 }, "values": { "suspect": 0.0 }, "weights": { "T": 2.5 } })));
        assert!(!takes(json!({ "fills": { "median": 1.5 } })));
        assert!(!takes(json!({ "values": { "suspect": -0.5 } })));
        assert!(!takes(json!({ "weights": { "T": -1 } })));
        assert!(!takes(json!({ "fields": [] })));
        assert!(!takes(json!({ "field": "" })));
    }
}
