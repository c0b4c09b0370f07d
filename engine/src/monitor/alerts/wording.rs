//! What alerts say: what was measured, the limit with the key that sets it, and what to do.

use std::sync::Arc;
use std::time::Duration;

use super::numbers::{apart, counted, exact, percent, rate, span, verb};
use super::settings::AlertKind;
use super::window::Cells;
use crate::clock::rfc3339;

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::monitor) enum Found {
    /// So many records and requests failed.
    Errors { bad: u64, attempts: u64 },
    /// So many records became dead letters.
    DeadLetters { dead: u64, records: u64 },
    /// The mean score of so many records.
    Score { mean: f64, records: u64 },
    /// Records a second, and those before.
    Rate { now: f64, before: f64 },
    /// The source has caught up, after the rate had fallen.
    CaughtUp { now: f64 },
    /// The lag, that before it grew, and the windows in which it did.
    Lag { now: u64, before: u64, windows: u32, window: Duration },
    /// How long no record came.
    NoData { passed: Duration },
    /// How long no record was read, while so many that were read before are not written.
    NotWritten { passed: Duration, records: u64 },
    /// The newest reading of a station, and how far it lies behind.
    Station { newest_micros: i64, behind_secs: f64 },
    /// The station is no longer among those whose newest reading is oldest.
    StationSends,
    /// The cells of a field.
    Cells(Cells),
    /// There are more of a kind than are named.
    Others { count: u64 },
}

/// A measured value beside its limit.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::monitor) struct Measure {
    pub(in crate::monitor) kind: AlertKind,
    /// The station or the field that it is about.
    pub(in crate::monitor) subject: Option<Arc<str>>,
    pub(in crate::monitor) value: f64,
    pub(in crate::monitor) limit: f64,
    pub(in crate::monitor) found: Found,
    pub(in crate::monitor) level: Level,
    /// The time that it is about; `None` for the whole run.
    pub(in crate::monitor) over: Option<Duration>,
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::monitor) enum Level {
    /// Beyond its limit.
    Beyond,
    /// Within it, but by less than a margin.
    Within,
    /// Back by a margin.
    Back,
}

impl Measure {
    /// The text of an alert that fires.
    pub(in crate::monitor) fn firing_text(&self) -> String {
        format!("{}; {}: {}", self.measured(), self.limit_text(), self.advice())
    }

    /// The text of an alert that is resolved.
    pub(in crate::monitor) fn resolved_text(&self) -> String {
        format!("{}, as it should be; {}", self.measured(), self.limit_text())
    }

    /// How many stations or fields it stands for.
    pub(in crate::monitor) fn subjects(&self) -> u64 {
        if let Found::Others { count } = self.found { count } else { 1 }
    }

    fn measured(&self) -> String {
        let over = self.over.map_or_else(
            || "over the whole run".to_owned(),
            |over| format!("in the last {}", span(over.as_secs_f64(), 0)),
        );
        let subject = self.subject.as_deref().unwrap_or_default();
        match &self.found {
            Found::Errors { bad, attempts } => {
                let what = if *attempts == 1 { "record or request" } else { "records and requests" };
                format!("{bad} of {attempts} {what} failed {over} ({})", self.share())
            }
            Found::DeadLetters { dead, records } => {
                let (of, became) =
                    (counted(*records, "record"), verb(*dead, "became a dead letter", "became dead letters"));
                format!("{dead} of {of} {became} {over} ({})", self.share())
            }
            Found::Score { mean, records } => {
                let mean = apart(*mean, self.limit, |score, more| format!("{score:.*}", 3 + more));
                format!("the mean score of {} {over} is {mean}", counted(*records, "record"))
            }
            Found::Rate { now, before } => {
                let (now, before) = (rate(*now), rate(*before));
                let share = |text: &str| text.parse::<f64>().unwrap_or_default();
                // What is rounded may seem to lie within the limit.
                let is_hidden = self.level == Level::Beyond && share(&now) >= share(&before) * self.limit;
                let share = if is_hidden { format!(" ({})", self.share()) } else { String::new() };
                format!("{now} records/s were read {over}, and {before} records/s before{share}")
            }
            Found::CaughtUp { now } => format!("the source has caught up, with {} records/s {over}", rate(*now)),
            Found::Lag { now, windows: 0, window, .. } => {
                let (records, waits) = (counted(*now, "record"), verb(*now, "waits", "wait"));
                format!("{records} {waits} in the source, no more than {} before", span(window.as_secs_f64(), 0))
            }
            Found::Lag { now, before, windows, window } => {
                let (records, waits) = (counted(*now, "record"), verb(*now, "waits", "wait"));
                let passed = span((*window * *windows).as_secs_f64(), 0);
                format!("{records} {waits} in the source, and {passed} before {before} did")
            }
            Found::NoData { passed } if passed.as_secs() == 0 => "records come".to_owned(),
            Found::NoData { passed } => format!("no record came for {}", self.span_of(passed.as_secs_f64())),
            Found::NotWritten { passed, records } => {
                let (records, are) =
                    (counted(*records, "record"), verb(*records, "was read and is", "were read and are"));
                let passed = self.span_of(passed.as_secs_f64());
                format!("{records} {are} not written, and no more were read for {passed}")
            }
            Found::Station { newest_micros, behind_secs } => {
                let (newest, behind) = (rfc3339(newest_micros.div_euclid(1_000)), self.span_of(*behind_secs));
                format!("the newest reading of station `{subject}` is of {newest}, {behind} behind the newest of all")
            }
            Found::StationSends => format!("station `{subject}` sends again"),
            Found::Cells(cells) => {
                let (count, what) = match self.kind {
                    AlertKind::MissingShare => {
                        let count = cells.missing + cells.filled;
                        let (have, are) = (verb(count, "has", "have"), verb(cells.missing, "is", "are"));
                        let (missing, filled) = (cells.missing, cells.filled);
                        (count, format!("{have} no measured value: {missing} {are} missing, {filled} filled"))
                    }
                    AlertKind::UnreadableShare => (cells.unreadable, "cannot be read".to_owned()),
                    _ => (cells.fail, format!("{} flagged `fail`", verb(cells.fail, "is", "are"))),
                };
                let of = counted(cells.all, "cell");
                format!("{count} of {of} of `{subject}` {over} ({}) {what}", self.share())
            }
            Found::Others { count: 0 } => {
                format!("no more {}s than those with an alert of their own", self.subject_kind())
            }
            Found::Others { count } => {
                let (subjects, are) =
                    (counted(*count, &format!("more {}", self.subject_kind())), verb(*count, "is", "are"));
                format!("{subjects} {are} beyond the limit")
            }
        }
    }

    /// The value as a percentage that differs from the limit where the value does.
    fn share(&self) -> String {
        apart(self.value, self.limit, percent)
    }

    /// A span of time in words that differ from those of the limit where the value does.
    fn span_of(&self, seconds: f64) -> String {
        apart(seconds, self.limit, span)
    }

    fn subject_kind(&self) -> &'static str {
        if self.kind == AlertKind::SilentAfter { "station" } else { "field" }
    }

    fn limit_text(&self) -> String {
        let what = match self.kind {
            AlertKind::Quality => {
                format!("asks for {}", exact(self.limit, |score, more| format!("{score:.*}", 3 + more)))
            }
            AlertKind::Throughput => format!(
                "asks for {} of that",
                exact(self.limit, |share, more| { format!("{:.more$} %", share * 100.0) })
            ),
            AlertKind::LagWindows if self.limit == 1.0 => "warns where that grows for a window".to_owned(),
            AlertKind::LagWindows => format!("warns where that grows for {} windows in a row", self.limit),
            AlertKind::NoDataSecs | AlertKind::SilentAfter => format!("allows {}", exact(self.limit, span)),
            AlertKind::ErrorRate
            | AlertKind::MissingShare
            | AlertKind::UnreadableShare
            | AlertKind::FailShare
            | AlertKind::DeadLetters => format!("allows {}", exact(self.limit, percent)),
        };
        format!("`{}` in [monitor.alerts] {what}", self.kind.key())
    }

    fn advice(&self) -> &'static str {
        match self.kind {
            AlertKind::ErrorRate => {
                "`aqpipe dead-letters list` names records, warnings above name trouble with brokers"
            }
            AlertKind::Quality => "`flags` and `fills` of the output say which values are bad or missing",
            AlertKind::Throughput => "look whether the source, the brokers or the disk have become slow",
            AlertKind::LagWindows => "the input grows faster than it is carried, more instances may share the work",
            AlertKind::NoDataSecs if matches!(self.found, Found::NotWritten { .. }) => {
                "look at the sink, its brokers or its disk, before the source"
            }
            AlertKind::NoDataSecs => "look whether anything is sent, and whether it reaches the source",
            AlertKind::SilentAfter => "look at the station and at its connection, the others send",
            AlertKind::MissingShare => "look at the sensor, a fill is no measurement",
            AlertKind::UnreadableShare => {
                "the source's `missing` names words for \"no value\", and the summary shows the first unreadable cell"
            }
            AlertKind::FailShare => {
                "`flags` of the output say which tests object: look at the sensor, or at their limits"
            }
            AlertKind::DeadLetters => "`aqpipe dead-letters list` shows them with their reasons",
        }
    }
}
