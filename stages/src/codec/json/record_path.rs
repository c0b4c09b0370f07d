//! Envelopes: the record is a value inside of the message.

use super::lexer::Lexer;
use super::members::Members;
use super::names::{PATH_LEVELS_MAX, is_pointer, push_pointer};
use super::rejected::Rejected;

/// Where the record of a message starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordPlace {
    /// At this byte.
    At(usize),
    /// It is null, or what it would be in is: the message tells that there is none.
    Null,
}

/// The name or path of the record in its message.
#[derive(Debug)]
pub(super) struct RecordPath {
    path: String,
    separator: char,
}

/// What was found, and how deep: what lies less deep counts, for a name is taken literally first.
type Found = Option<(RecordPlace, usize)>;

impl RecordPath {
    pub(super) fn new(path: &str) -> RecordPath {
        RecordPath { path: path.to_owned(), separator: if is_pointer(path) { '/' } else { '.' } }
    }

    /// Reads the whole message and finds the record in it.
    pub(super) fn find(&self, source: &str) -> Result<RecordPlace, Rejected> {
        let mut lexer = Lexer::new(source);
        lexer.space();
        let mut found = None;
        self.inside(&mut lexer, &mut String::new(), 0, &mut found)?;
        lexer.space();
        if lexer.peek().is_some() {
            lexer.fail("the end")?;
        }
        let absent = || Rejected::new(format!("there is no property `{}`, which is to be the record", self.path));
        found.map(|(place, _)| place).ok_or_else(absent)
    }

    /// Looks for the record inside of the object or array that comes next and whose path is `at`.
    fn inside(&self, lexer: &mut Lexer<'_>, at: &mut String, depth: usize, found: &mut Found) -> Result<(), Rejected> {
        if depth > PATH_LEVELS_MAX {
            lexer.fail("less nesting")?;
        }
        let above = at.len();
        let Some(mut members) = Members::of(lexer) else { return Ok(lexer.value()?) };
        while let Some(name) = members.next(lexer)? {
            match self.separator {
                '/' => push_pointer(at, &name),
                _ if depth == 0 => at.push_str(&name),
                separator => {
                    at.push(separator);
                    at.push_str(&name);
                }
            }
            let leads_there = self.path.strip_prefix(at.as_str()).is_some_and(|rest| rest.starts_with(self.separator));
            if *at == self.path {
                self.take(lexer, depth, found)?;
            } else if leads_there && matches!(lexer.peek(), Some(b'{' | b'[')) {
                self.inside(lexer, at, depth + 1, found)?;
            } else if leads_there && lexer.peek() == Some(b'n') {
                lexer.value()?;
                found.get_or_insert((RecordPlace::Null, usize::MAX));
            } else {
                lexer.value()?;
            }
            at.truncate(above);
        }
        Ok(())
    }

    fn take(&self, lexer: &mut Lexer<'_>, depth: usize, found: &mut Found) -> Result<(), Rejected> {
        let place = if lexer.peek() == Some(b'n') { RecordPlace::Null } else { RecordPlace::At(lexer.at) };
        lexer.value()?;
        match found {
            Some((_, known)) if *known == depth => {
                return Err(Rejected::new(format!("the property `{}` is there twice", self.path)));
            }
            Some((_, known)) if *known < depth => {}
            _ => *found = Some((place, depth)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_found_by_its_name_or_its_path_and_the_name_is_taken_literally_first() {
        for (path, message, at) in [
            ("payload", r#"{"schema":{"payload":{}},"payload":{"a":1}}"#, Ok(35)),
            ("payload.after", r#"{"payload":{"before":null,"after":{"a":1}}}"#, Ok(34)),
            ("/payload/after", r#"{"payload":{"before":null,"after":{"a":1}}}"#, Ok(34)),
            ("a.b", r#"{"a":{"b":{}},"a.b":{}}"#, Ok(20)),
            ("a.b", r#"{"a.b":{},"a":{"b":{}}}"#, Ok(7)),
            ("a.b.c", r#"{"a.b":{"c":{}}}"#, Ok(12)),
            ("/a.b/c~1d", r#"{"a.b":{"c/d":{}}}"#, Ok(14)),
            ("a", r#"{"a":null}"#, Err("null")),
            ("a.b", r#"{"a":{"b":null}}"#, Err("null")),
            ("a", "{}", Err("there is no property `a`")),
            ("a.b", r#"{"a":null}"#, Err("null")),
            ("/a/b/c", r#"{"a":{"b":null}}"#, Err("null")),
            ("a.b", r#"{"a":null,"a.b":{}}"#, Ok(16)),
            ("a.b", r#"{"a":false}"#, Err("there is no property `a.b`")),
            ("a.b", r#"{"ab":null}"#, Err("there is no property `a.b`")),
            ("a", "[1]", Err("there is no property `a`")),
            ("/0", r#"[{"a":1}]"#, Ok(1)),
            ("0", "[null]", Err("null")),
            ("/1", r#"[{"a":1}]"#, Err("there is no property `/1`")),
            ("a.b", r#"{"a":[{"b":{}}]}"#, Err("there is no property `a.b`")),
            ("a.0", r#"{"a":[{"b":{}}]}"#, Ok(6)),
            ("/a/1/b", r#"{"a":[{"b":{}},{"b":{}}]}"#, Ok(20)),
            ("/a/0", r#"{"a":[]}"#, Err("there is no property `/a/0`")),
            ("a", r#"{"a":{},"a":{}}"#, Err("twice")),
            ("a", r#"{"a":{}"#, Err("not JSON")),
            ("a", r#"{"a":{}} x"#, Err("the end")),
        ] {
            match (RecordPath::new(path).find(message), at) {
                (Ok(RecordPlace::At(found)), Ok(at)) => assert_eq!(found, at, "{path} in {message}"),
                (Ok(RecordPlace::Null), Err("null")) => {}
                (Err(rejected), Err(reason)) => assert!(rejected.reason.contains(reason), "{rejected} for {message}"),
                (found, _) => panic!("{found:?} for {path} in {message}"),
            }
        }
    }
}
