//! One way in which a source writes its times.

use super::epoch::{EpochUnit, UNITS};
use super::iso;
use super::moment::Moment;
use super::pattern::Pattern;
use super::rfc3339::parse_timestamp;

const RFC_3339: &str = "rfc3339";
const ISO_8601: &str = "iso8601";

/// One way in which a source writes its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TimeFormat {
    /// ISO 8601 and RFC 3339 in their usual spellings.
    Iso,
    Rfc3339,
    Epoch(EpochUnit),
    Pattern(Pattern),
}

impl TimeFormat {
    /// The format of that name, or the pattern.
    ///
    /// # Errors
    /// Where it is no name, and no time can be read by it as a pattern.
    pub(super) fn new(text: &str) -> Result<TimeFormat, String> {
        match text {
            RFC_3339 => return Ok(TimeFormat::Rfc3339),
            ISO_8601 => return Ok(TimeFormat::Iso),
            _ => {}
        }
        if let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == text) {
            return Ok(TimeFormat::Epoch(*unit));
        }
        Pattern::new(text).map(TimeFormat::Pattern)
    }

    /// The names of formats that are no patterns.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        UNITS.iter().map(|(name, _)| *name).chain([RFC_3339, ISO_8601])
    }

    /// The time that a text is.
    ///
    /// # Errors
    /// Why it is none of this format.
    pub(super) fn parse(&self, text: &[u8]) -> Result<Moment, String> {
        match self {
            TimeFormat::Iso => iso::parse(text),
            TimeFormat::Rfc3339 => match parse_timestamp(text) {
                Ok((instant, offset)) => {
                    let offset = i32::from(offset) * 60;
                    Ok(Moment::Clock(instant + i64::from(offset) * super::moment::SECOND_MICROS, Some(offset)))
                }
                Err(error) => Err(format!("it {error}")),
            },
            TimeFormat::Epoch(unit) => unit.parse(text).map(Moment::Instant),
            TimeFormat::Pattern(pattern) => pattern.parse(text),
        }
    }

    /// What a text should be, for messages.
    pub(super) fn expectation(&self) -> String {
        match self {
            TimeFormat::Iso => "a time of ISO 8601 such as `2004-03-10T18:00:00`".to_owned(),
            TimeFormat::Rfc3339 => "a time of RFC 3339 such as `2004-03-10T18:00:00+01:00`".to_owned(),
            TimeFormat::Epoch(unit) => format!("a time of the format `{}`", unit.name()),
            TimeFormat::Pattern(pattern) => format!("a time of the format `{}`", pattern.text),
        }
    }
}
