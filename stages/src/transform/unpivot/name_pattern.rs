//! Names of columns that hold a part of the time: `H{hour}`.

/// A part of the time that a name holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// 0 to 24.
    Hour,
    Minute,
}

/// The parts: the word in a pattern, the highest number, and microseconds.
const UNITS: [(Unit, &str, i64, i64); 2] =
    [(Unit::Hour, "{hour}", 24, 3_600_000_000), (Unit::Minute, "{minute}", 59, 60_000_000)];

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// A number, by its place in [`UNITS`].
    Number(usize),
}

/// A pattern of names.
#[derive(Clone, Debug)]
pub(super) struct NamePattern(Vec<Piece>);

/// What a name says: the digits of each part, and the time behind the beginning of the record, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedTime<'a> {
    digits: Vec<(Unit, &'a str)>,
    pub(super) micros: i64,
}

impl NamePattern {
    /// The pattern in a text. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<NamePattern, String> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let next =
                UNITS.iter().enumerate().filter_map(|(unit, (_, word, ..))| Some((rest.find(word)?, unit, word)));
            let Some((at, unit, word)) = next.min() else {
                pieces.push(Piece::Text(rest.to_owned()));
                break;
            };
            if at > 0 {
                pieces.push(Piece::Text(rest[..at].to_owned()));
            }
            pieces.push(Piece::Number(unit));
            rest = &rest[at + word.len()..];
        }
        let texts = pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None });
        if texts.clone().any(|text| text.contains(['{', '}'])) {
            return Err("a part of the time is {hour} or {minute}".to_owned());
        }
        if texts.count() == pieces.len() {
            return Err("it has no part of the time: {hour} or {minute}".to_owned());
        }
        Ok(NamePattern(pieces))
    }

    /// What a name says, if it is one of this pattern. A part that comes twice (`H01//H01`, in two languages) is the same there.
    pub(super) fn read<'a>(&self, name: &'a str) -> Option<NamedTime<'a>> {
        let mut named = NamedTime { digits: Vec::new(), micros: 0 };
        let mut rest = name;
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Number(unit) => {
                    let (unit, _, most, micros) = UNITS[*unit];
                    let length = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
                    let (digits, behind) = rest.split_at(length);
                    rest = behind;
                    match named.digits.iter().find(|(known, _)| *known == unit) {
                        Some((_, known)) if *known == digits => continue,
                        Some(_) => return None,
                        None => named.digits.push((unit, digits)),
                    }
                    named.micros += digits.parse::<i64>().ok().filter(|number| *number <= most)? * micros;
                }
            }
        }
        rest.is_empty().then_some(named)
    }

    /// Whether a name is one of this pattern but for a number that is no hour or no minute: `H25`.
    pub(super) fn is_out_of_range(&self, name: &str) -> bool {
        let mut rest = name;
        for piece in &self.0 {
            let behind = match piece {
                Piece::Text(text) => rest.strip_prefix(text.as_str()),
                Piece::Number(_) => {
                    let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                    (behind.len() < rest.len()).then_some(behind)
                }
            };
            let Some(behind) = behind else { return false };
            rest = behind;
        }
        rest.is_empty() && self.read(name).is_none()
    }

    /// The name that says the same in this pattern, by the same digits; `None` where it asks for a part that they do not have.
    pub(super) fn write(&self, named: &NamedTime<'_>) -> Option<String> {
        let digits =
            |unit: usize| named.digits.iter().find(|(known, _)| *known == UNITS[unit].0).map(|(_, digits)| *digits);
        let texts = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Number(unit) => digits(*unit),
        });
        texts.collect()
    }

    /// All names of the pattern, with and without a zero in front of each number.
    pub(super) fn names(&self) -> Vec<String> {
        let mut all: Vec<Vec<(Unit, String)>> = vec![Vec::new()];
        let has = |unit: usize| self.0.iter().any(|piece| matches!(piece, Piece::Number(known) if *known == unit));
        for (_, (unit, _, most, _)) in UNITS.iter().enumerate().filter(|(unit, _)| has(*unit)) {
            let mut spellings: Vec<String> =
                (0..=*most).flat_map(|number| [format!("{number}"), format!("{number:02}")]).collect();
            spellings.dedup();
            let with = |digits: Vec<(Unit, String)>| {
                spellings.iter().map(move |spelling| {
                    let mut digits = digits.clone();
                    digits.push((*unit, spelling.clone()));
                    digits
                })
            };
            all = all.into_iter().flat_map(with).collect();
        }
        let named = |digits: Vec<(Unit, String)>| {
            let digits = digits.iter().map(|(unit, digits)| (*unit, digits.as_str())).collect();
            self.write(&NamedTime { digits, micros: 0 })
        };
        all.into_iter().filter_map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(pattern: &str, name: &str) -> Option<i64> {
        NamePattern::parse(pattern).expect("a pattern").read(name).map(|named| named.micros / 60_000_000)
    }

    #[test]
    fn a_name_says_a_time_by_its_pattern() {
        assert_eq!(micros("H{hour}", "H01"), Some(60));
        assert_eq!(micros("H{hour}", "H24"), Some(24 * 60));
        assert_eq!(micros("{hour}", "00"), Some(0));
        assert_eq!(micros("{hour}", "7"), Some(7 * 60));
        assert_eq!(micros("{hour}:{minute} h", "13:30 h"), Some(13 * 60 + 30));
        assert_eq!(micros("H{hour}//H{hour}", "H05//H05"), Some(5 * 60));
        assert_eq!(micros("H{hour}//H{hour}", "H05//H06"), None);
        for other in ["H25", "H", "H001", "V01", "H01 ", "XH01", "H1x"] {
            assert_eq!(micros("H{hour}", other), None, "{other}");
        }
    }

    #[test]
    fn a_name_of_the_shape_with_a_number_that_is_no_hour_is_known() {
        let pattern = NamePattern::parse("H{hour}").expect("one");
        for (name, is) in [("H25", true), ("H001", true), ("H24", false), ("Hx", false), ("H", false), ("H25x", false)]
        {
            assert_eq!(pattern.is_out_of_range(name), is, "{name}");
        }
    }

    #[test]
    fn the_mark_of_a_column_has_the_same_digits() {
        let (columns, marks) =
            (NamePattern::parse("H{hour}").expect("one"), NamePattern::parse("V{hour}").expect("one"));
        let named = columns.read("H03").expect("a name");
        assert_eq!(marks.write(&named).as_deref(), Some("V03"));
        assert_eq!(NamePattern::parse("V{minute}").expect("one").write(&named), None);
        assert!(columns.names().contains(&"H3".to_owned()) && columns.names().contains(&"H24".to_owned()));
        let both = NamePattern::parse("{hour}:{minute}").expect("one").names();
        assert!(["0:00", "09:30", "9:5", "24:00"].iter().all(|name| both.contains(&(*name).to_owned())));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, why) in
            [("H01", "no part"), ("H{hr}", "{hour} or {minute}"), ("{hour}}", "is {hour}"), ("", "no part")]
        {
            let error = NamePattern::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
