//! The features, and their values.

use std::f64::consts::TAU;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A feature of the time of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Feature {
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
pub(super) enum Hemisphere {
    /// Winter is December to February.
    #[default]
    North,
    /// Winter is June to August.
    South,
}

/// The part of a time that a feature depends on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
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

    pub(super) fn all() -> Vec<Feature> {
        Feature::ALL.to_vec()
    }

    pub(super) const fn name(self) -> &'static str {
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

    pub(super) const fn unit(self) -> Unit {
        match self {
            Feature::Hour | Feature::HourSin | Feature::HourCos => Unit::Hour,
            Feature::DayOfWeek | Feature::IsWeekend | Feature::DaySin | Feature::DayCos => Unit::Day,
            Feature::Month | Feature::Season | Feature::MonthSin | Feature::MonthCos => Unit::Month,
        }
    }

    /// The value at a step of its unit: an hour 0–23, a day 0–6, a month 1–12.
    pub(super) fn at(self, step: u8, hemisphere: Hemisphere) -> f64 {
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

    /// The values for every step of the unit: 32 of them, so that five bits index the table without a check.
    pub(super) fn table(self, hemisphere: Hemisphere) -> [f64; 32] {
        std::array::from_fn(|step| self.at(step as u8, hemisphere))
    }
}
