//! The options of the stage, and its registration.

use aqpipe_engine::Result;
use aqpipe_engine::record::{Fields, Kind};
use aqpipe_engine::stage::{BuildContext, Descriptor, Problem, Transform, TransformConfig};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::scorer::Scorer;
use super::worth::{Fills, Values};
use crate::measurement_checks::{check_measurement, check_measurements, check_measurements_at};

/// Gives each record a score from 0 (nothing is known) to 1 (every value observed, and no check objected).
///
/// The score is the weighted mean `Σ w·v(flag)·m(provenance) / Σ w` over the scored fields: `values` say what a flag
/// is worth, `fills` what a value is worth by where it came from. A fill from the k-th record before or after counts
/// `fill` to the power of k, so a value carried further is worth less. A listed field that a record does not have
/// counts as missing. The score replaces one that the record had before; a record without any scored field has none.
///
/// Where stations have different sensors, `fields_by_key` says which: otherwise a station with 4 of 13 listed fields scores 4/13 at
/// best. The summary of a run names keys that never had a value of a field that is listed for them.
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
    /// The fields that count for records of these keys, in the place of `fields`: `{ "station-7" = ["CO(GT)", "T"] }`.
    #[serde(default)]
    #[schemars(extend("additionalProperties" = { "type": "array", "items": { "type": "string" }, "minItems": 1 }))]
    fields_by_key: IndexMap<String, Vec<String>>,
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

const EXAMPLE: &str = r#"fields = ["CO(GT)", "NOx(GT)", "T"]
weights = { "CO(GT)" = 2.0 }
values = { suspect = 0.5 }
fills = { fill = 0.9, median = 0.2 }
"#;

inventory::submit! { Descriptor::transform::<Score>("score", EXAMPLE) }

impl TransformConfig for Score {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems = self.check_name(input);
        if let Some(fields) = &self.fields {
            problems.extend(check_measurements("fields", fields, input));
        }
        problems.extend(self.check_keys(input));
        problems.extend(self.check_weights(input));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Fields { score: Some(self.field.as_str().into()), ..input.clone() })
    }

    fn numeric_fields(&self) -> Vec<String> {
        let mut names = Vec::new();
        for name in self.lists().flatten().chain(self.weights.keys()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Scorer::new(
            &self.field,
            (self.fields.clone(), self.fields_by_key.clone()),
            self.weights.clone(),
            (&self.values, &self.fills),
            cx,
        )))
    }
}

impl Score {
    /// The lists of fields.
    fn lists(&self) -> impl Iterator<Item = &Vec<String>> {
        self.fields.iter().chain(self.fields_by_key.values())
    }

    fn check_keys(&self, input: &Fields) -> Vec<Problem> {
        if !self.fields_by_key.is_empty() && input.key.is_none() && !input.open {
            let problem = Problem::new(["fields_by_key"], "records have no key here");
            return vec![problem.help("set `key` in [source], or list the fields of all records by `fields`")];
        }
        let lists = self.fields_by_key.iter();
        lists.flat_map(|(key, fields)| check_measurements_at(&["fields_by_key", key], fields, input)).collect()
    }

    fn check_name(&self, input: &Fields) -> Vec<Problem> {
        // An earlier score's name is free: this score replaces it.
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
                Some(_) if !self.lists().any(|fields| fields.contains(name)) => problems.push(
                    Problem::new(at, format!("`{name}` has a weight but is not scored"))
                        .at_key()
                        .help("add it to `fields`, or take its weight out"),
                ),
                Some(_) => {}
                None => problems.extend(check_measurement(&at, name, input, true)),
            }
        }
        let weighs_nothing =
            |fields: &Vec<String>| !fields.is_empty() && fields.iter().all(|name| self.weight(name) == 0.0);
        for (key, _) in self.fields_by_key.iter().filter(|(_, fields)| weighs_nothing(fields)) {
            problems.push(Problem::new(["fields_by_key", key], "every field of this key has the weight 0"));
        }
        let none_left = match &self.fields {
            Some(fields) => weighs_nothing(fields),
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
