//! The options of the stage, and its registration.

use aqpipe_engine::Result;
use aqpipe_engine::record::{Field, Fields};
use aqpipe_engine::stage::{BuildContext, Descriptor, Problem, Transform, TransformConfig};
use schemars::JsonSchema;
use serde::Deserialize;

use super::day_clock::DayClock;
use super::name_pattern::NamePattern;
use super::unpivoter::{Unpivoter, layout};
use crate::reading::Sentinel;
use crate::reading::time::{Ambiguous, Zone};

/// Makes a record for each hour of records that have a column for each: `H01` … `H24`, or `00` … `23`.
///
/// The time of a new record is that of the old one and what the column's name says: with the day in `timestamp`, `H01` is
/// 01:00 and `H24` is 00:00 of the next day. Hours go by the clock of the source's `timezone`. Where that clock is put forward, the
/// value of an hour that it passes over becomes a dead letter; where it is put back, `ambiguous` says which of two hours a column is.
/// Files whose columns are 24 hours of standard time on every day need a fixed offset as `timezone` (`"+01:00"`). Where `H01` ends at
/// 01:00, `marks = "end"` of the source's `timestamp` moves it to the beginning of its hour.
///
/// All other fields come along; the columns themselves and their marks do not. A record is made for each of the columns, also where
/// there is no value, so that a gap is one; but for an hour that the clock passes over.
///
/// Files that have a line for each parameter of a day (Madrid's) then need `pivot`, so that each parameter is a field of its own.
///
/// A dead letter of such a record names its column and keeps the whole line; `aqpipe dead-letters replay` sends that column
/// alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unpivot {
    /// The names of the columns: `"H{hour}"`, `"{hour}"`, `"{hour}:{minute}"`. Hours go from 0 to 24, with or without a zero in
    /// front.
    columns: String,
    /// The field that has their values.
    #[serde(default = "Unpivot::default_values")]
    #[schemars(length(min = 1))]
    values: String,
    /// The names of the columns that say whether the values hold: `"V{hour}"`.
    validity: Option<String>,
    /// The marks under which a value holds: words, or numbers, which compare by value. Any other mark, or none, empties it: the
    /// cell fails the test `source`.
    #[serde(default = "Unpivot::default_valid")]
    #[schemars(length(min = 1))]
    valid: Vec<Sentinel>,
    /// Which one a column is of two hours at which the clock of the source's `timezone` shows the same.
    #[serde(default)]
    ambiguous: Ambiguous,
}

const EXAMPLE: &str = r#"columns = "H{hour}"     # H01 … H24
validity = "V{hour}"    # V01 … V24
valid = ["V"]
values = "value"
"#;

inventory::submit! { Descriptor::transform::<Unpivot>("unpivot", EXAMPLE) }

impl TransformConfig for Unpivot {
    fn check(&self, input: &Fields) -> Result<Fields, Vec<Problem>> {
        let columns = NamePattern::parse(&self.columns);
        let validity = self.validity.as_deref().map(NamePattern::parse).transpose();
        let mut problems = Vec::new();
        for (key, text, error) in [
            ("columns", Some(&self.columns), columns.as_ref().err()),
            ("validity", self.validity.as_ref(), validity.as_ref().err()),
        ] {
            let text = text.map_or("", String::as_str);
            problems.extend(error.map(|why| Problem::new([key], format!("`{text}` is no pattern of names: {why}"))));
        }
        let (Ok(columns), Ok(validity)) = (columns, validity) else { return Err(problems) };
        let rest = layout(input, &columns, validity.as_ref(), None);
        let named: Vec<_> = input.names().filter_map(|name| Some((name, columns.read(name)?))).collect();
        if !input.open && named.is_empty() {
            let problem = Problem::new(["columns"], format!("no field here is called like `{}`", self.columns));
            let names = input.names().collect::<Vec<_>>().join("`, `");
            problems.push(if input.list.is_empty() {
                problem
            } else {
                problem.help(format!("the fields here are `{names}`"))
            });
        }
        let mark = |(name, named)| Some((name, validity.as_ref()?.write(named)?));
        let mut marks = named.iter().map(|(name, named)| (*name, named)).filter_map(mark);
        if !input.open
            && let Some((name, mark)) = marks.find(|(_, mark)| input.index(mark).is_none())
        {
            let problem = Problem::new(["validity"], format!("there is no field `{mark}` with the marks of `{name}`"));
            problems.push(problem.help(format!(
                "let the source read it (`text_fields = [\"{mark}\", …]`), or all columns, without `fields` and `text_fields`"
            )));
        }
        if !rest.is_free(&self.values) {
            problems.push(Problem::new(["values"], format!("records have a field `{}` already", self.values)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(layout(input, &columns, validity.as_ref(), Some(Field::number(&self.values))))
    }

    fn numeric_fields(&self) -> Vec<String> {
        NamePattern::parse(&self.columns).map(|columns| columns.names()).unwrap_or_default()
    }

    fn changes_number_of_rows(&self) -> bool {
        true
    }

    fn counts_hours(&self) -> bool {
        true
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>> {
        let pattern = |text: &str| NamePattern::parse(text).map_err(aqpipe_engine::Error::config);
        let columns = pattern(&self.columns)?;
        let validity = self.validity.as_deref().map(pattern).transpose()?;
        let clock = cx.changing_clock().and_then(Zone::parse).map(|zone| DayClock::new(zone, self.ambiguous));
        Ok(Box::new(Unpivoter::new(columns, validity, self.valid.clone(), &self.values, clock, cx)))
    }
}

impl Unpivot {
    fn default_values() -> String {
        "value".to_owned()
    }

    fn default_valid() -> Vec<Sentinel> {
        vec![Sentinel::Word("V".to_owned())]
    }
}
