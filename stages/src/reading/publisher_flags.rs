//! The publisher's own verdict on a value, from a column beside it.

use std::collections::BTreeMap;
use std::fmt;

use aqpipe_engine::record::{CellQuality, Flag};
use aqpipe_engine::stage::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::missing::Sentinel;
use crate::columns::NumberBuilder;
use crate::decimal::parse_f64;

/// The name of the test that a source's own verdict is.
pub const SOURCE_TEST: &str = "source";

/// Where the codes stand: the name of a column or a property, or the number of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagSource {
    /// By its name.
    Name(String),
    /// By its place, from 1: where names repeat.
    Number(u32),
}

/// The codes of a publisher for one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct FlagOptions {
    /// The column or property with the code, by name; or the number of the column, from 1, where names repeat. Several fields
    /// may have the same.
    pub column: FlagSource,
    /// Codes of values that passed.
    #[serde(default)]
    pub good: Vec<Sentinel>,
    /// Codes of values that are kept and flagged `suspect`.
    #[serde(default)]
    pub suspect: Vec<Sentinel>,
    /// Codes of values that are kept and flagged `fail`: nothing fills them, and they fill nothing.
    #[serde(default)]
    pub fail: Vec<Sentinel>,
    /// Codes of values that are not carried: the cell is missing.
    #[serde(default)]
    pub missing: Vec<Sentinel>,
}

/// What a publisher's code says of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Good,
    /// It is kept and suspect.
    Suspect,
    /// It is kept and wrong.
    Fail,
    /// There is no value.
    Missing,
    /// No code was given.
    Absent,
    /// The code is not listed.
    Unlisted,
}

/// The codes of one field, ready to be looked up.
#[derive(Clone, Debug)]
pub struct PublisherFlags {
    words: BTreeMap<Box<[u8]>, Verdict>,
    numbers: Vec<(f64, Verdict)>,
    test: u8,
}

impl FlagOptions {
    fn lists(&self) -> [(&'static str, &[Sentinel], Verdict); 4] {
        [
            ("good", &self.good, Verdict::Good),
            ("suspect", &self.suspect, Verdict::Suspect),
            ("fail", &self.fail, Verdict::Fail),
            ("missing", &self.missing, Verdict::Missing),
        ]
    }

    /// What is wrong with the options of a field, below `flags`.
    #[must_use]
    pub fn check(&self, field: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut seen: Vec<(&Sentinel, &str)> = Vec::new();
        for (name, codes, _) in self.lists() {
            for (index, code) in codes.iter().enumerate() {
                let is_same = |known: &Sentinel, other: &str| {
                    // In two spellings a code may stand in one list, but not in two.
                    known == code || (other != name && numeric(known).is_some_and(|known| numeric(code) == Some(known)))
                };
                if let Some((_, other)) = seen.iter().find(|(known, other)| is_same(known, other)) {
                    let message = format!("this code is in `{other}` already");
                    problems.push(Problem::new(["flags", field, name, &index.to_string()], message));
                }
                seen.push((code, name));
            }
        }
        if seen.is_empty() {
            problems.push(
                Problem::new(["flags", field], "no code is listed").help(
                    "flags = { NO2 = { column = \"Validity\", good = [1, 2, 3], fail = [-1], missing = [-99] } }",
                ),
            );
        }
        if self.column == FlagSource::Number(0) {
            problems.push(Problem::new(["flags", field, "column"], "columns are numbered from 1"));
        }
        problems
    }
}

/// The number that a code is, also where it is written as a word.
fn numeric(code: &Sentinel) -> Option<f64> {
    match code {
        Sentinel::Number(number) => Some(*number),
        Sentinel::Word(word) => parse_f64(word.as_bytes(), b'.'),
    }
}

impl PublisherFlags {
    /// The codes of a field; `test` is the bit of the test `source`.
    #[must_use]
    pub fn new(options: &FlagOptions, test: u8) -> PublisherFlags {
        let mut flags = PublisherFlags { words: BTreeMap::new(), numbers: Vec::new(), test };
        for (code, verdict) in
            options.lists().into_iter().flat_map(|(_, codes, verdict)| codes.iter().map(move |code| (code, verdict)))
        {
            match code {
                Sentinel::Number(number) => flags.numbers.push((*number, verdict)),
                Sentinel::Word(word) => drop(flags.words.insert(word.as_bytes().into(), verdict)),
            }
        }
        flags
    }

    /// The verdict of a code, as it is written without blanks around it.
    #[must_use]
    pub fn verdict(&self, code: &[u8]) -> Verdict {
        if let Some(verdict) = self.words.get(code) {
            return *verdict;
        }
        if code.is_empty() {
            return Verdict::Absent;
        }
        let number = parse_f64(code, b'.').or_else(|| parse_f64(code, b','));
        let listed = number.and_then(|number| self.numbers.iter().find(|(known, _)| *known == number));
        listed.map_or(Verdict::Unlisted, |(_, verdict)| *verdict)
    }

    /// Applies a verdict to the last cell of a column. A cell whose verdict is `missing` is not to be read at all.
    pub(crate) fn apply(&self, verdict: Verdict, cells: &mut NumberBuilder) {
        let flag = match verdict {
            Verdict::Absent | Verdict::Unlisted | Verdict::Missing => return,
            Verdict::Good => Flag::Good,
            Verdict::Suspect => Flag::Suspect,
            Verdict::Fail => Flag::Fail,
        };
        if let Some((quality, is_missing)) = cells.last() {
            // A value that is not there has neither passed nor is it doubtful.
            if !is_missing || flag == Flag::Fail {
                *quality = CellQuality(*quality).checked(flag, self.test).0;
            }
        }
    }
}

impl<'de> Deserialize<'de> for FlagSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagSourceVisitor;
        impl Visitor<'_> for FlagSourceVisitor {
            type Value = FlagSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column, or its number from 1")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<FlagSource, E> {
                Ok(FlagSource::Name(name.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<FlagSource, E> {
                u32::try_from(number).map(FlagSource::Number).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<FlagSource, E> {
                u32::try_from(number).map(FlagSource::Number).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(FlagSourceVisitor)
    }
}

impl Serialize for FlagSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            FlagSource::Name(name) => serializer.serialize_str(name),
            FlagSource::Number(number) => serializer.serialize_u32(*number),
        }
    }
}

impl JsonSchema for FlagSource {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FlagSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "integer", "minimum": 1, "maximum": u32::MAX }] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(value: serde_json::Value) -> FlagOptions {
        serde_json::from_value(value).expect("options")
    }

    #[test]
    fn codes_compare_by_value_and_words_letter_by_letter() {
        let given =
            json!({ "column": "Validity", "good": [1, 2, "V"], "fail": [-1], "missing": [-99, "N"], "suspect": ["*"] });
        let flags = PublisherFlags::new(&options(given), 3);
        let verdict = |code: &str| flags.verdict(code.as_bytes());
        assert_eq!(["1", "2.0", "V"].map(verdict), [Verdict::Good; 3]);
        assert_eq!(["-1", "-1,0"].map(verdict), [Verdict::Fail; 2]);
        assert_eq!(["-99", "N"].map(verdict), [Verdict::Missing; 2]);
        assert_eq!((verdict("*"), verdict(""), verdict("v")), (Verdict::Suspect, Verdict::Absent, Verdict::Unlisted));
    }

    #[test]
    fn a_verdict_is_a_test_of_its_own() {
        let flags = PublisherFlags::new(&options(json!({ "column": 3, "good": [1] })), 3);
        let after = |verdict: Verdict, value: bool| {
            let mut cells = NumberBuilder::default();
            if value {
                cells.push(1.0);
            } else {
                cells.push_missing(CellQuality::MISSING);
            }
            flags.apply(verdict, &mut cells);
            let (quality, is_missing) = cells.last().expect("a cell");
            (CellQuality(*quality).flag(), CellQuality(*quality).tests(), is_missing)
        };
        assert_eq!(after(Verdict::Good, true), (Flag::Good, 0, false));
        assert_eq!(after(Verdict::Fail, true), (Flag::Fail, 8, false));
        assert_eq!(after(Verdict::Suspect, true), (Flag::Suspect, 8, false));
        assert_eq!(after(Verdict::Unlisted, true), (Flag::Unknown, 0, false));
        assert_eq!(after(Verdict::Good, false), (Flag::Missing, 0, true));
        assert_eq!(after(Verdict::Suspect, false), (Flag::Missing, 0, true));
        assert_eq!(after(Verdict::Fail, false), (Flag::Fail, 8, true));
    }

    #[test]
    fn a_code_that_is_listed_twice_is_found() {
        let problems = options(json!({ "column": "q", "good": [1], "fail": [2, 1] })).check("NO2");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, ["flags", "NO2", "fail", "1"]);
        assert_eq!(options(json!({ "column": 0 })).check("NO2").len(), 2);
        for codes in [json!({ "good": [1], "fail": ["1"] }), json!({ "good": ["01"], "fail": ["1.0"] })] {
            let mut given = json!({ "column": "q" });
            given.as_object_mut().expect("a table").extend(codes.as_object().expect("a table").clone());
            let problems = options(given).check("NO2");
            assert_eq!((problems.len(), &problems[0].path[2..]), (1, &["fail".to_owned(), "0".to_owned()][..]));
        }
        assert_eq!(
            options(json!({ "column": "q", "good": [1, "1"] })).check("NO2").len(),
            0,
            "for JSON and its strings"
        );
    }
}
