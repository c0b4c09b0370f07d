//! Values against bounds.

use std::collections::BTreeMap;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Column, Fields, Flag, Numbers};
use aqpipe_engine::stage::{BuildContext, DeadLetter, Descriptor, Output, Problem, Transform, TransformConfig};
use arrow_array::BooleanArray;
use arrow_buffer::{BooleanBuffer, NullBuffer};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::layout::{Bound, no_measurement};

/// The name of the test in marks; that of QARTOD.
const TEST: &str = "gross_range";

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
            problems.extend(no_measurement(&["ranges", name], name, input, true));
            problems.extend(range.check(name));
        }
        if problems.is_empty() { Ok(input.clone()) } else { Err(problems) }
    }

    fn numeric_fields(&self) -> Vec<String> {
        self.ranges.keys().cloned().collect()
    }

    fn rejects(&self) -> bool {
        self.on_fail == OnFail::Reject
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Checker {
            rules: self.ranges.iter().map(|(name, range)| (name.clone(), range.bounds())).collect(),
            test: cx.qc_tests().bit(TEST),
            on_fail: self.on_fail,
            columns: Bound::default(),
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

    /// What is wrong with the bounds themselves.
    fn check(&self, name: &str) -> Option<Problem> {
        // Each pair in the order in which the bounds have to lie on the axis, and which of them to point at.
        let pairs = [
            ("min", self.min, "max", self.max, "min"),
            ("suspect_min", self.suspect_min, "suspect_max", self.suspect_max, "suspect_min"),
            ("min", self.min, "suspect_min", self.suspect_min, "suspect_min"),
            ("suspect_max", self.suspect_max, "max", self.max, "suspect_max"),
            ("suspect_min", self.suspect_min, "max", self.max, "suspect_min"),
            ("min", self.min, "suspect_max", self.suspect_max, "suspect_max"),
        ];
        let wrong = pairs.into_iter().find(|(_, low, _, high, _)| low.zip(*high).is_some_and(|(low, high)| low > high));
        // One mistake, one message: the other pairs follow from it.
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
    fn judge(&self, value: f64) -> Flag {
        if !(value >= self.min && value <= self.max) {
            Flag::Fail
        } else if value < self.suspect_min || value > self.suspect_max {
            Flag::Suspect
        } else {
            Flag::Good
        }
    }

    /// Why a value fails, for its dead letter.
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

/// The low four bits of a mark after a check that found nothing, by those before it.
const AFTER_GOOD: [u32; 16] = {
    let mut table = [0; 16];
    let mut flag = 0;
    while flag < 16 {
        table[flag as usize] = CellQuality(flag).checked(Flag::Good, 0).0 & 0xf;
        flag += 1;
    }
    table
};

struct Checker {
    rules: Vec<(String, Bounds)>,
    test: u8,
    on_fail: OnFail,
    /// For each rule whose field is there: the rule and the column.
    columns: Bound<Vec<(usize, usize)>>,
}

impl Transform for Checker {
    fn apply(&mut self, mut batch: Batch, out: &mut Output) -> Result<()> {
        let rules = &self.rules;
        let columns = self.columns.to(batch.fields(), |layout| {
            let place = |(rule, (name, _)): (usize, &(String, Bounds))| Some((rule, layout.index(name)?));
            rules.iter().enumerate().filter_map(place).collect()
        });
        let mut reasons: BTreeMap<usize, String> = BTreeMap::new();
        for &(rule, column) in columns {
            let (name, bounds) = &self.rules[rule];
            batch.change_numbers(column, |numbers| Ok(check_column(numbers, bounds, self.test, self.on_fail)))?;
            if self.on_fail == OnFail::Reject {
                note_failures(&batch, column, name, bounds, &mut reasons);
            }
        }
        if reasons.is_empty() {
            out.batches.push(batch);
            return Ok(());
        }
        let keep: BooleanArray = (0..batch.rows()).map(|row| Some(!reasons.contains_key(&row))).collect();
        for (row, reason) in reasons {
            let raw = batch.raw(row).map(<[u8]>::to_vec);
            out.dead.push(DeadLetter::new(batch.source_offsets()[row], reason, raw));
        }
        let kept = batch.filter(&keep)?;
        if kept.rows() > 0 {
            out.batches.push(kept);
        }
        Ok(())
    }
}

fn check_column(numbers: Numbers, bounds: &Bounds, test: u8, on_fail: OnFail) -> Numbers {
    let (values, nulls, mut marks) = numbers.into_vecs();
    let check = |mark: &mut u32, value: f64| {
        let flag = bounds.judge(value);
        *mark = match flag {
            Flag::Good => *mark & !0xf | AFTER_GOOD[(*mark & 0xf) as usize],
            _ => CellQuality(*mark).checked(flag, test).0,
        };
        flag == Flag::Fail
    };
    let mut failed = false;
    let cells = marks.iter_mut().zip(&values);
    match &nulls {
        None => cells.for_each(|(mark, value)| failed |= check(mark, *value)),
        Some(nulls) => {
            for (row, (mark, value)) in cells.enumerate() {
                if nulls.is_valid(row) {
                    failed |= check(mark, *value);
                }
            }
        }
    }
    let nulls = if failed && on_fail == OnFail::Null {
        let stays = |row: usize| {
            nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) && bounds.judge(values[row]) != Flag::Fail
        };
        Some(NullBuffer::new(BooleanBuffer::collect_bool(values.len(), stays)))
    } else {
        nulls
    };
    Numbers::from_vecs(values, nulls, marks)
}

/// Notes the rows whose value fails, with the reason; a row that fails twice names both.
fn note_failures(batch: &Batch, column: usize, name: &str, bounds: &Bounds, reasons: &mut BTreeMap<usize, String>) {
    let Column::Number(numbers) = batch.column(column) else { return };
    for row in 0..batch.rows() {
        let Some(value) = numbers.get(row) else { continue };
        if bounds.judge(value) == Flag::Fail {
            let reason = bounds.reason(name, value);
            reasons.entry(row).and_modify(|earlier| *earlier = format!("{earlier}; {reason}")).or_insert(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{batch, marks, numbers, one, problems, schema_takes, transform, values};

    fn build(table: serde_json::Value) -> Box<dyn Transform> {
        transform("range_check", table).build(&BuildContext::for_tests()).expect("builds")
    }

    #[test]
    fn bounds_are_inclusive_and_missing_values_are_not_evaluated() {
        let range = json!({ "min": 0.0, "max": 50.0, "suspect_min": 1.0, "suspect_max": 10.0 });
        let mut check = build(json!({ "ranges": { "CO": range } }));
        let cells = [-0.1, 0.0, 1.0, 10.0, 10.5, 50.0, 50.1, f64::INFINITY].map(Some);
        let checked = one(&mut *check, batch(&[("CO", &[&cells[..], &[None]].concat())]));
        let flags: Vec<_> =
            (0..9).map(|row| checked.numbers(0).expect("numbers").quality_at(row).flag() as u8).collect();
        assert_eq!(flags, [4, 3, 1, 1, 3, 3, 4, 4, 9]);
        let tests: Vec<_> = (0..9).map(|row| checked.numbers(0).expect("numbers").quality_at(row).tests()).collect();
        assert_eq!(tests, [2, 2, 0, 0, 2, 2, 2, 2, 0], "a test that objects names itself");
        assert_eq!(values(&checked, "CO")[0], Some(-0.1), "flagging changes no value");
    }

    #[test]
    fn a_filled_value_is_checked_and_an_earlier_worse_flag_stays() {
        let mut check = build(json!({ "ranges": { "CO": { "max": 5.0 } } }));
        let mut rows = batch(&[("CO", &[Some(1.0), Some(9.0), Some(1.0)])]);
        rows.change_numbers(0, |numbers| {
            let (values, nulls, mut marks) = numbers.into_vecs();
            marks[0] = CellQuality::MISSING.filled(aqpipe_engine::record::Provenance::ForwardFill, 2).0;
            marks[2] = CellQuality::OBSERVED.checked(Flag::Suspect, 5).0;
            Ok(Numbers::from_vecs(values, nulls, marks))
        })
        .expect("changed");
        let checked = one(&mut *check, rows);
        let expected = ["good forward_fill(2)", "fail observed(0) tests 0b10", "suspect observed(0) tests 0b100000"];
        assert_eq!(marks(&checked, "CO"), expected);
    }

    #[test]
    fn a_failing_value_can_be_emptied_and_keeps_its_flag() {
        let mut check = build(json!({ "on_fail": "null", "ranges": { "CO": { "max": 5.0 } } }));
        let checked = one(&mut *check, batch(&[("CO", &[Some(1.0), Some(9.0), None])]));
        assert_eq!(values(&checked, "CO"), [Some(1.0), None, None]);
        assert_eq!(marks(&checked, "CO")[1..], ["fail observed(0) tests 0b10", "missing observed(0)"]);
    }

    #[test]
    fn a_rejected_record_is_a_dead_letter_with_its_bytes_and_the_rest_goes_on() {
        let mut check = build(json!({ "on_fail": "reject", "ranges": { "CO": { "max": 5.0 }, "T": { "min": -20 } } }));
        let rows = batch(&[("CO", &[Some(1.0), Some(9.5), Some(2.0)]), ("T", &[Some(3.0), Some(-30.0), None])]);
        let mut parts = rows.into_parts();
        parts.raw = Some((0..3).map(|row| Some(vec![b'a' + row])).collect());
        let mut out = Output::default();
        check.apply(Batch::new(parts).expect("fits"), &mut out).expect("applies");
        assert_eq!(out.batches[0].source_offsets(), [0, 200]);
        assert_eq!(out.dead.len(), 1);
        assert_eq!((out.dead[0].source_offset, out.dead[0].raw.as_deref()), (100, Some(&b"b"[..])));
        let reason = "`CO` is 9.5, above its maximum of 5; `T` is -30, below its minimum of -20";
        assert_eq!(out.dead[0].reason, reason);
        assert!(transform("range_check", json!({ "on_fail": "reject", "ranges": {} })).rejects());
    }

    #[test]
    fn impossible_bounds_and_unknown_fields_are_problems_at_their_place() {
        let input = numbers(&["CO", "T"]);
        let says = |ranges: serde_json::Value| problems("range_check", json!({ "ranges": ranges }), &input);
        assert_eq!(says(json!({ "CO": { "min": 5, "max": 1 } })), ["ranges.CO.min: `min` (5) lies above `max` (1)"]);
        let outside = says(json!({ "CO": { "max": 10, "suspect_max": 11 } }));
        assert_eq!(outside, ["ranges.CO.suspect_max: `suspect_max` (11) lies above `max` (10)"]);
        let outside = says(json!({ "T": { "min": -20, "suspect_min": -21 } }));
        assert_eq!(outside, ["ranges.T.suspect_min: `min` (-20) lies above `suspect_min` (-21)"]);
        assert_eq!(
            says(json!({ "COO": { "min": 1 } })),
            ["ranges.COO: there is no field `COO` here: no stage before this one has it"]
        );
        assert!(!schema_takes("range_check", &json!({ "ranges": { "CO": {} } })));
        assert!(!schema_takes("range_check", &json!({ "ranges": {} })));
        assert!(says(json!({ "CO": { "min": 0, "max": 9, "suspect_min": 0, "suspect_max": 9 } })).is_empty());
    }

    #[test]
    fn columns_are_found_by_name_when_the_layout_changes() {
        let mut check = build(json!({ "ranges": { "CO": { "max": 5.0 } } }));
        one(&mut *check, batch(&[("CO", &[Some(1.0)])]));
        let checked = one(&mut *check, batch(&[("T", &[Some(99.0)]), ("CO", &[Some(9.0)])]));
        assert_eq!(marks(&checked, "T"), ["unknown observed(0)"]);
        assert_eq!(marks(&checked, "CO"), ["fail observed(0) tests 0b10"]);
    }
}
