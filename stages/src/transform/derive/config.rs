//! The options of the stage, and its registration.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::{BuildContext, Descriptor, Problem, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;

use super::deriver::{Deriver, extend};
use super::feature::{Feature, Hemisphere};

/// Adds features of the time of each record, as fields of numbers behind the others.
///
/// A field that a record has itself is kept: the feature of that name is then not added, and a warning says so once.
///
/// Codes and counts are integers in messages and files: `hour` 0 to 23; `day_of_week` 0 Monday, 1 Tuesday, 2 Wednesday, 3 Thursday,
/// 4 Friday, 5 Saturday, 6 Sunday; `month` 1 to 12; `is_weekend` 1 on Saturday and Sunday, else 0; `season` 1 winter, 2 spring,
/// 3 summer, 4 autumn, by whole months: winter is December to February in the north, June to August in the south.
///
/// They are read off the record's own clock (its instant and its offset from UTC), so `hour` is the hour that the
/// source wrote. Their provenance is `derived`, and `score` leaves them out unless it lists them. The cyclic pairs put
/// 23 h next to 0 h, Sunday next to Monday and December next to January.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Derive {
    /// The features to add, in this order.
    #[serde(default = "Feature::all")]
    #[schemars(length(min = 1))]
    features: Vec<Feature>,
    /// A prefix of the new fields' names: `time_` makes `time_hour`.
    #[serde(default)]
    prefix: String,
    /// Where the stations are, for `season`.
    #[serde(default)]
    hemisphere: Hemisphere,
}

const EXAMPLE: &str = r#"features = ["hour", "day_of_week", "is_weekend", "season", "hour_sin", "hour_cos"]
hemisphere = "north"
"#;

inventory::submit! { Descriptor::transform::<Derive>("derive", EXAMPLE) }

impl TransformConfig for Derive {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems = Vec::new();
        for (index, feature) in self.features.iter().enumerate() {
            let at = ["features".to_owned(), index.to_string()];
            let name = self.name(*feature);
            if self.features[..index].contains(feature) {
                problems.push(Problem::new(at, format!("the feature `{}` is listed twice", feature.name())));
            } else if !input.is_free(&name) {
                let problem = Problem::new(at, format!("records have a field `{name}` already"));
                problems.push(problem.help("set `prefix`, or leave this feature out"));
            }
        }
        if problems.is_empty() { Ok(self.extend(input)) } else { Err(problems) }
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        let feature =
            |feature: &Feature| (self.name(*feature).into(), (feature.unit(), feature.table(self.hemisphere)));
        Ok(Box::new(Deriver::new(self.features.iter().map(feature).collect(), cx)))
    }
}

impl Derive {
    fn name(&self, feature: Feature) -> String {
        format!("{}{}", self.prefix, feature.name())
    }

    fn extend(&self, input: &Fields) -> Fields {
        let names: Vec<Arc<str>> = self.features.iter().map(|feature| self.name(*feature).into()).collect();
        extend(input, names.iter())
    }
}
