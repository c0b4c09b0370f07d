//! The transform `range_check`: values against bounds.

use std::collections::BTreeMap;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Column, FieldTest, Fields, Flag, Numbers};
use aqpipe_engine::stage::{BuildContext, DeadLetter, Descriptor, Output, Problem, Transform, TransformConfig};
use arrow_array::BooleanArray;
use arrow_buffer::{BooleanBuffer, NullBuffer};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measurement_checks::check_measurement;
use crate::per_layout::PerLayout;

/// The name of the test, as QARTOD calls it.
const TEST_NAME: &str = "gross_range";

/// Checks values against bounds, as QARTOD's gross range test does.
///
/// A value outside `min` .. `max` is flagged fail, one outside `suspect_min` .. `suspect_max` suspect, any other good.
/// All bounds are inclusive; a missing value is not evaluated. The worst flag of all checks wins, and the test names
/// itself as `gross_range` where it objects. Filled values are checked like observed ones. By default a record that
/// fails goes on with its value and its flag: a real episode may look like an error.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RangeCheck {
    /// The bounds of each field, in the unit of the field.
    #[schemars(extend("minProperties" = 1))]
    ranges: IndexMap<String, Range>,
    /// What becomes of a value that fails.
    #[serde(default)]
    on_fail: OnFail,
}

/// The bounds of one field; at least one of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
struct Range {
    /// Values below fail. Unit: that of the field. Default: no bound.
    min: Option<f64>,
    /// Values above fail. Unit: that of the field. Default: no bound.
    max: Option<f64>,
    /// Values below are suspect. Unit: that of the field. Default: no bound.
    suspect_min: Option<f64>,
    /// Values above are suspect. Unit: that of the field. Default: no bound.
    suspect_max: Option<f64>,
}

/// What becomes of a value that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnFail {
    /// It stays, flagged fail.
    #[default]
    Flag,
    /// It becomes missing and keeps its flag; a later `impute` may fill it.
    Null,
    /// Its whole record becomes a dead letter that names field, value and bound.
    Reject,
}

const EXAMPLE: &str = r#"on_fail = "flag"
ranges."CO(GT)" = { min = 0.0, max = 50.0, suspect_max = 10.0 }   # mg/m³
ranges.T = { min = -20.0, max = 50.0 }                            # °C
"#;

inventory::submit! { Descriptor::transform::<RangeCheck>("range_check", EXAMPLE) }

impl TransformConfig for RangeCheck {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let mut problems = Vec::new();
        for (name, range) in &self.ranges {
            problems.extend(check_measurement(&["ranges", name], name, input, true));
            problems.extend(range.check(name));
        }
        if problems.is_empty() { Ok(input.clone()) } else { Err(problems) }
    }

    fn numeric_fields(&self) -> Vec<String> {
        self.ranges.keys().cloned().collect()
    }

    fn tests(&self) -> Vec<FieldTest> {
        let test = |(field, range): (&String, &Range)| FieldTest {
            min: range.min,
            max: range.max,
            suspect_min: range.suspect_min,
            suspect_max: range.suspect_max,
            ..FieldTest::new(TEST_NAME, field)
        };
        self.ranges.iter().map(test).collect()
    }

    fn rejects(&self) -> bool {
        self.on_fail == OnFail::Reject
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(RangeChecker {
            rules: self.ranges.iter().map(|(name, range)| (name.clone(), range.bounds())).collect(),
            test: cx.qc_tests().bit(TEST_NAME),
            on_fail: self.on_fail,
            columns: PerLayout::default(),
        }))
    }
}

impl Range {
    fn bounds(&self) -> Bounds {
        Bounds {
            min: self.min.unwrap_or(f64::NEG_INFINITY),
            max: self.max.unwrap_or(f64::INFINITY),
            suspect_min: self.suspect_min.unwrap_or(f64::NEG_INFINITY),
            suspect_max: self.suspect_max.unwrap_or(f64::INFINITY),
        }
    }

    /// The problem of the bounds themselves.
    fn check(&self, name: &str) -> Option<Problem> {
        // Each pair in ascending order, and the key to point at.
        let pairs = [
            ("min", self.min, "max", self.max, "min"),
            ("suspect_min", self.suspect_min, "suspect_max", self.suspect_max, "suspect_min"),
            ("min", self.min, "suspect_min", self.suspect_min, "suspect_min"),
            ("suspect_max", self.suspect_max, "max", self.max, "suspect_max"),
            ("suspect_min", self.suspect_min, "max", self.max, "suspect_min"),
            ("min", self.min, "suspect_max", self.suspect_max, "suspect_max"),
        ];
        let wrong = pairs.into_iter().find(|(_, low, _, high, _)| low.zip(*high).is_some_and(|(low, high)| low > high));
        // One mistake, one message: problems of other pairs follow from it.
        let (low_key, low, high_key, high, at) = wrong?;
        let message = format!("`{low_key}` ({}) lies above `{high_key}` ({})", low?, high?);
        let problem = Problem::new(["ranges", name, at], message);
        let mixed = low_key.starts_with("suspect") != high_key.starts_with("suspect");
        let help = "the suspect bounds lie within `min` .. `max`: what is outside of those fails anyway";
        Some(if mixed { problem.help(help) } else { problem })
    }
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    min: f64,
    max: f64,
    suspect_min: f64,
    suspect_max: f64,
}

impl Bounds {
    /// The flag of a value. A NaN lies in no range, so it fails.
    #[inline]
    fn flag_of(&self, value: f64) -> Flag {
        if !(value >= self.min && value <= self.max) {
            Flag::Fail
        } else if value < self.suspect_min || value > self.suspect_max {
            Flag::Suspect
        } else {
            Flag::Good
        }
    }

    /// Why a value fails, for the dead letter.
    fn reason(&self, field: &str, value: f64) -> String {
        if value < self.min {
            format!("`{field}` is {value}, below its minimum of {}", self.min)
        } else if value > self.max {
            format!("`{field}` is {value}, above its maximum of {}", self.max)
        } else {
            format!("`{field}` is not a number")
        }
    }
}

/// The flag bits after a check that found nothing, by the flag bits before it.
const FLAG_AFTER_GOOD: [u32; 16] = {
    let mut table = [0; 16];
    let mut flag = 0;
    while flag < 16 {
        table[flag as usize] = CellQuality(flag).checked(Flag::Good, 0).0 & 0xf;
        flag += 1;
    }
    table
};

struct RangeChecker {
    rules: Vec<(String, Bounds)>,
    test: u8,
    on_fail: OnFail,
    /// The rules whose field the layout has, with its column.
    columns: PerLayout<Vec<(usize, usize)>>,
}

impl Transform for RangeChecker {
    fn apply(&mut self, mut batch: Batch, out: &mut Output) -> Result<()> {
        let rules = &self.rules;
        let columns = self.columns.get_or_bind(batch.fields(), |layout| {
            let place = |(rule, (name, _)): (usize, &(String, Bounds))| Some((rule, layout.index(name)?));
            rules.iter().enumerate().filter_map(place).collect()
        });
        let mut reasons: BTreeMap<usize, String> = BTreeMap::new();
        for &(rule, column) in columns {
            let (name, bounds) = &self.rules[rule];
            batch.change_numbers(column, |numbers| Ok(check_column(numbers, bounds, self.test, self.on_fail)))?;
            if self.on_fail == OnFail::Reject {
                add_failures(&batch, column, name, bounds, &mut reasons);
            }
        }
        if reasons.is_empty() {
            out.batches.push(batch);
            return Ok(());
        }
        let keep: BooleanArray = (0..batch.rows()).map(|row| Some(!reasons.contains_key(&row))).collect();
        for (row, reason) in reasons {
            out.dead.push(DeadLetter::of_row(&batch, row, reason));
        }
        let kept = batch.filter(&keep)?;
        if kept.rows() > 0 {
            out.batches.push(kept);
        }
        Ok(())
    }
}

fn check_column(numbers: Numbers, bounds: &Bounds, test: u8, on_fail: OnFail) -> Numbers {
    let (values, nulls, mut quality) = numbers.into_vecs();
    let check = |quality: &mut u32, value: f64| {
        let flag = bounds.flag_of(value);
        *quality = match flag {
            Flag::Good => *quality & !0xf | FLAG_AFTER_GOOD[(*quality & 0xf) as usize],
            _ => CellQuality(*quality).checked(flag, test).0,
        };
        flag == Flag::Fail
    };
    let mut failed = false;
    let cells = quality.iter_mut().zip(&values);
    match &nulls {
        None => cells.for_each(|(quality, value)| failed |= check(quality, *value)),
        Some(nulls) => {
            for (row, (quality, value)) in cells.enumerate() {
                if nulls.is_valid(row) {
                    failed |= check(quality, *value);
                }
            }
        }
    }
    let nulls = if failed && on_fail == OnFail::Null {
        let stays = |row: usize| {
            nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) && bounds.flag_of(values[row]) != Flag::Fail
        };
        Some(NullBuffer::new(BooleanBuffer::collect_bool(values.len(), stays)))
    } else {
        nulls
    };
    Numbers::from_vecs(values, nulls, quality)
}

/// Adds the rows whose value fails, with the reason. A row that fails twice has both reasons.
fn add_failures(batch: &Batch, column: usize, name: &str, bounds: &Bounds, reasons: &mut BTreeMap<usize, String>) {
    let Column::Number(numbers) = batch.column(column) else { return };
    for row in 0..batch.rows() {
        let Some(value) = numbers.get(row) else { continue };
        if bounds.flag_of(value) == Flag::Fail {
            let reason = bounds.reason(name, value);
            reasons.entry(row).and_modify(|earlier| *earlier = format!("{earlier}; {reason}")).or_insert(reason);
        }
    }
}

#[cfg(test)]
mod tests;
