//! Features of the clock and the calendar.

mod calendar;

use std::f64::consts::TAU;
use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Column, Field, Fields, Kind, Numbers};
use aqpipe_engine::stage::{BuildContext, Descriptor, Output, Problem, Transform, TransformConfig};
use arrow_array::Float64Array;
use arrow_buffer::ScalarBuffer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::calendar::Calendar;
use crate::codec::names::Told;
use crate::layout::Bound;

/// Adds features of the time of each record, as fields of numbers behind the others.
///
/// A field that a record has itself is kept: the feature of that name is then not added, which is told once.
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
    /// What the names of the new fields start with: `time_` makes `time_hour`.
    #[serde(default)]
    prefix: String,
    /// Where the stations are, for `season`.
    #[serde(default)]
    hemisphere: Hemisphere,
}

/// A feature of the time of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Feature {
    /// Hour of the day, 0 to 23.
    Hour,
    /// Day of the week, 0 (Monday) to 6 (Sunday).
    DayOfWeek,
    /// Month, 1 (January) to 12 (December).
    Month,
    /// 1 on Saturday and Sunday, else 0.
    IsWeekend,
    /// Meteorological season: 1 winter, 2 spring, 3 summer, 4 autumn. Winter is December to February in the north,
    /// June to August in the south.
    Season,
    /// sin(2π·hour/24).
    HourSin,
    /// cos(2π·hour/24).
    HourCos,
    /// sin(2π·day_of_week/7).
    DaySin,
    /// cos(2π·day_of_week/7).
    DayCos,
    /// sin(2π·(month−1)/12).
    MonthSin,
    /// cos(2π·(month−1)/12).
    MonthCos,
}

/// A half of the earth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Hemisphere {
    /// Winter is December to February.
    #[default]
    North,
    /// Winter is June to August.
    South,
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
        let table = |feature: &Feature| (feature.unit(), feature.table(self.hemisphere));
        Ok(Box::new(Deriver {
            names: self.features.iter().map(|feature| self.name(*feature).into()).collect(),
            tables: self.features.iter().map(table).collect(),
            stage: Arc::clone(&cx.stage()),
            told: cx.pipeline_extensions().get_or_put(Told::default),
            layout: Bound::default(),
            marks: Vec::new().into(),
        }))
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

fn extend<'a>(input: &Fields, names: impl Iterator<Item = &'a Arc<str>>) -> Fields {
    let mut fields = input.clone();
    let field = |name: &Arc<str>| Field { name: Arc::clone(name), kind: Kind::Number, derived: true };
    fields.list.extend(names.map(field));
    fields
}

/// What a feature is looked up by.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Hour,
    Day,
    Month,
}

impl Feature {
    const ALL: [Feature; 11] = [
        Feature::Hour,
        Feature::DayOfWeek,
        Feature::Month,
        Feature::IsWeekend,
        Feature::Season,
        Feature::HourSin,
        Feature::HourCos,
        Feature::DaySin,
        Feature::DayCos,
        Feature::MonthSin,
        Feature::MonthCos,
    ];

    fn all() -> Vec<Feature> {
        Feature::ALL.to_vec()
    }

    const fn name(self) -> &'static str {
        match self {
            Feature::Hour => "hour",
            Feature::DayOfWeek => "day_of_week",
            Feature::Month => "month",
            Feature::IsWeekend => "is_weekend",
            Feature::Season => "season",
            Feature::HourSin => "hour_sin",
            Feature::HourCos => "hour_cos",
            Feature::DaySin => "day_sin",
            Feature::DayCos => "day_cos",
            Feature::MonthSin => "month_sin",
            Feature::MonthCos => "month_cos",
        }
    }

    const fn unit(self) -> Unit {
        match self {
            Feature::Hour | Feature::HourSin | Feature::HourCos => Unit::Hour,
            Feature::DayOfWeek | Feature::IsWeekend | Feature::DaySin | Feature::DayCos => Unit::Day,
            Feature::Month | Feature::Season | Feature::MonthSin | Feature::MonthCos => Unit::Month,
        }
    }

    /// The value at a step of its unit: an hour 0–23, a day 0–6, a month 1–12.
    fn at(self, step: u8, hemisphere: Hemisphere) -> f64 {
        let value = f64::from(step);
        match self {
            Feature::Hour | Feature::DayOfWeek | Feature::Month => value,
            Feature::IsWeekend => f64::from(u8::from(step >= 5)),
            Feature::Season => {
                let shift = if hemisphere == Hemisphere::North { 0 } else { 2 };
                f64::from((step % 12 / 3 + shift) % 4 + 1)
            }
            Feature::HourSin => (TAU * value / 24.0).sin(),
            Feature::HourCos => (TAU * value / 24.0).cos(),
            Feature::DaySin => (TAU * value / 7.0).sin(),
            Feature::DayCos => (TAU * value / 7.0).cos(),
            Feature::MonthSin => (TAU * (value - 1.0) / 12.0).sin(),
            Feature::MonthCos => (TAU * (value - 1.0) / 12.0).cos(),
        }
    }

    /// Its values for every step of its unit: 32 of them, so that five bits index it without a check.
    fn table(self, hemisphere: Hemisphere) -> [f64; 32] {
        std::array::from_fn(|step| self.at(step as u8, hemisphere))
    }
}

struct Deriver {
    names: Vec<Arc<str>>,
    tables: Vec<(Unit, [f64; 32])>,
    stage: Arc<str>,
    told: Arc<Told>,
    layout: Bound<Added>,
    /// The marks of a derived column, as long as the longest batch so far: all columns share them.
    marks: ScalarBuffer<u32>,
}

/// What is added to records of one layout.
#[derive(Clone)]
struct Added {
    layout: Arc<Fields>,
    /// The features, by their numbers, that the records have no field of that name for.
    features: Arc<[usize]>,
}

impl Deriver {
    /// What is added to records of a layout: what they have themselves is kept.
    fn added(&self, layout: &Fields) -> Added {
        let (free, taken): (Vec<usize>, Vec<usize>) =
            (0..self.names.len()).partition(|number| layout.is_free(&self.names[*number]));
        for name in taken.iter().map(|number| &self.names[*number]) {
            let message = || {
                format!(
                    "`{name}` is a field of the records as they come and a feature of `{}`: the field is kept, and the \
                     feature is not added to such records; `prefix` gives the features names of their own",
                    self.stage
                )
            };
            self.told.warn(message, &format!("{}: {name}", self.stage));
        }
        let layout = Arc::new(extend(layout, free.iter().map(|number| &self.names[*number])));
        Added { layout, features: free.into() }
    }
}

impl Transform for Deriver {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let mut bound = std::mem::take(&mut self.layout);
        let Added { layout, features } = bound.to(batch.fields(), |layout| self.added(layout)).clone();
        self.layout = bound;
        let rows = batch.rows();
        if self.marks.len() < rows {
            self.marks = vec![CellQuality::DERIVED.0; rows].into();
        }
        let calendar = Calendar::of(batch.time(), batch.utc_offset());
        let column = |(unit, table): &(Unit, [f64; 32])| {
            let steps = match unit {
                Unit::Hour => &calendar.hour,
                Unit::Day => &calendar.day_of_week,
                Unit::Month => &calendar.month,
            };
            let values: Vec<f64> = steps.iter().map(|step| table[usize::from(step & 31)]).collect();
            Column::Number(Numbers {
                values: Float64Array::new(values.into(), None),
                quality: self.marks.slice(0, rows),
            })
        };
        let columns = features.iter().map(|number| column(&self.tables[*number])).collect();
        out.batches.push(batch.with_columns(columns, &layout)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{HOUR, START, batch, marks, numbers, one, problems, schema_takes, timed, transform, values};

    fn build(table: serde_json::Value) -> Box<dyn Transform> {
        transform("derive", table).build(&BuildContext::for_tests()).expect("builds")
    }

    #[test]
    fn the_features_are_those_of_the_clock_that_the_source_wrote() {
        // 2004-03-10 18:00 UTC was a Wednesday; at +07:00 it is 01:00 on Thursday.
        let mut parts = timed(&[START, START], None, &[("CO", &[None, None])]).into_parts();
        parts.utc_offset = vec![0, 420].into();
        let rows = one(&mut *build(json!({})), Batch::new(parts).expect("fits"));
        let of = |name: &str| values(&rows, name).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(of("hour"), [18.0, 1.0]);
        assert_eq!(of("day_of_week"), [2.0, 3.0]);
        assert_eq!((of("month"), of("season"), of("is_weekend")), (vec![3.0; 2], vec![2.0; 2], vec![0.0; 2]));
        let near = |name: &str, expected: f64| assert!((of(name)[0] - expected).abs() < 1e-12, "{name}");
        near("hour_sin", -1.0);
        near("hour_cos", 0.0);
        near("day_sin", (TAU * 2.0 / 7.0).sin());
        near("day_cos", (TAU * 2.0 / 7.0).cos());
        near("month_sin", (TAU / 6.0).sin());
        near("month_cos", 0.5);
        assert_eq!(marks(&rows, "hour"), ["unknown derived(0)"; 2]);
        assert!(rows.fields().get("hour").is_some_and(|field| field.derived));
        assert!(rows.fields().get("CO").is_some_and(|field| !field.derived));
    }

    #[test]
    fn seasons_are_numbered_from_winter_and_turn_with_the_hemisphere() {
        let of = |hemisphere| (1..=12).map(|month| Feature::Season.at(month, hemisphere) as u8).collect::<Vec<_>>();
        assert_eq!(of(Hemisphere::North), [1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 1]);
        assert_eq!(of(Hemisphere::South), [3, 3, 4, 4, 4, 1, 1, 1, 2, 2, 2, 3]);
    }

    #[test]
    fn only_the_chosen_features_come_in_their_order_with_their_prefix() {
        let mut derive = build(json!({ "features": ["month", "is_weekend"], "prefix": "t_" }));
        let times: Vec<i64> = (0..7).map(|day| START + day * 24 * HOUR).collect();
        let rows = one(&mut *derive, timed(&times, None, &[("CO", &[None; 7])]));
        assert_eq!(rows.fields().names().collect::<Vec<_>>(), ["CO", "t_month", "t_is_weekend"]);
        let weekend: Vec<_> = values(&rows, "t_is_weekend").into_iter().flatten().collect();
        assert_eq!(weekend, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_field_that_comes_with_the_records_is_kept_and_the_feature_of_its_name_left_out() {
        let mut derive = build(json!({ "features": ["hour", "month"] }));
        let rows = one(&mut *derive, batch(&[("T", &[Some(1.0)])]));
        assert_eq!(rows.fields().names().collect::<Vec<_>>(), ["T", "hour", "month"]);
        let rows = one(&mut *derive, batch(&[("hour", &[Some(99.0)]), ("T", &[Some(1.0)])]));
        assert_eq!(rows.fields().names().collect::<Vec<_>>(), ["hour", "T", "month"], "no name is there twice");
        assert_eq!(values(&rows, "hour"), [Some(99.0)]);
        assert_eq!(values(&rows, "month"), [Some(3.0)]);
    }

    #[test]
    fn names_that_are_taken_and_repeated_features_are_problems() {
        let says = |table| problems("derive", table, &numbers(&["hour"]));
        assert_eq!(says(json!({})), ["features.0: records have a field `hour` already"]);
        assert!(says(json!({ "prefix": "t_" })).is_empty());
        let twice = says(json!({ "features": ["month", "month"] }));
        assert_eq!(twice, ["features.1: the feature `month` is listed twice"]);
        assert!(!schema_takes("derive", &json!({ "features": [] })));
    }
}
