//! What alerts say: what was measured, the limit with the key that sets it, and what to do.

use std::sync::Arc;
use std::time::Duration;

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
    /// The newest reading of a station, and how far it lies behind.
    Station { newest_micros: i64, behind_secs: f64 },
    /// The station is no longer among those whose newest reading is oldest.
    StationSends,
    /// The cells of a field.
    Cells(Cells),
    /// There are more of a kind than are named.
    Others { count: u64, is_at_least: bool },
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

    fn measured(&self) -> String {
        let over =
            self.over.map_or_else(|| "over the whole run".to_owned(), |over| format!("in the last {}", span(over)));
        let subject = self.subject.as_deref().unwrap_or_default();
        match &self.found {
            Found::Errors { bad, attempts } => {
                format!("{bad} of {attempts} records and requests failed {over} ({})", percent(self.value))
            }
            Found::DeadLetters { dead, records } => {
                format!("{dead} of {records} records became dead letters {over} ({})", percent(self.value))
            }
            Found::Score { mean, records } => format!("the mean score of {records} records {over} is {mean:.3}"),
            Found::Rate { now, before } => {
                format!("{} records/s were read {over}, and {} records/s before", rate(*now), rate(*before))
            }
            Found::CaughtUp { now } => format!("the source has caught up, with {} records/s {over}", rate(*now)),
            Found::Lag { now, windows: 0, window, .. } => {
                format!("{now} records wait in the source, no more than {} before", span(*window))
            }
            Found::Lag { now, before, windows, window } => {
                let passed = span(*window * *windows);
                format!("{now} records wait in the source, and {passed} before {before} did")
            }
            Found::NoData { passed } if passed.as_secs() == 0 => "records come".to_owned(),
            Found::NoData { passed } => format!("no record came for {}", span(*passed)),
            Found::Station { newest_micros, behind_secs } => {
                let (newest, behind) =
                    (rfc3339(newest_micros.div_euclid(1_000)), Duration::try_from_secs_f64(*behind_secs));
                let behind = span(behind.unwrap_or_default());
                format!("the newest reading of station `{subject}` is of {newest}, {behind} behind the newest of all")
            }
            Found::StationSends => format!("station `{subject}` sends again"),
            Found::Cells(cells) => {
                let (count, what) = match self.kind {
                    AlertKind::MissingShare => (
                        cells.missing + cells.filled,
                        format!("have no measured value: {} are missing, {} filled", cells.missing, cells.filled),
                    ),
                    AlertKind::UnreadableShare => (cells.unreadable, "cannot be read".to_owned()),
                    _ => (cells.fail, "are flagged `fail`".to_owned()),
                };
                format!("{count} of {} cells of `{subject}` {over} ({}) {what}", cells.all, percent(self.value))
            }
            Found::Others { count: 0, .. } => {
                format!("no more {} than those with an alert of their own", self.subjects())
            }
            Found::Others { count, is_at_least } => {
                let at_least = if *is_at_least { "at least " } else { "" };
                format!("{at_least}{count} more {} are beyond the limit", self.subjects())
            }
        }
    }

    fn subjects(&self) -> &'static str {
        if self.kind == AlertKind::SilentAfter { "stations" } else { "fields" }
    }

    fn limit_text(&self) -> String {
        let what = match self.kind {
            AlertKind::Quality => format!("asks for {:.3}", self.limit),
            AlertKind::Throughput => format!("asks for {:.0} % of that", self.limit * 100.0),
            AlertKind::LagWindows => format!("warns where that grows for {} windows in a row", self.limit),
            AlertKind::NoDataSecs | AlertKind::SilentAfter => {
                format!("allows {}", span(Duration::try_from_secs_f64(self.limit).unwrap_or_default()))
            }
            AlertKind::ErrorRate
            | AlertKind::MissingShare
            | AlertKind::UnreadableShare
            | AlertKind::FailShare
            | AlertKind::DeadLetters => format!("allows {}", percent(self.limit)),
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

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn rate(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// A span of time in its largest unit that leaves two digits: `90 s`, `45 min`, `3.5 h`.
fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    let (number, unit) = match seconds {
        ..120.0 => (seconds, "s"),
        120.0..7_200.0 => (seconds / 60.0, "min"),
        7_200.0..172_800.0 => (seconds / 3_600.0, "h"),
        _ => (seconds / 86_400.0, "d"),
    };
    let text = if unit == "s" { format!("{number:.0}") } else { format!("{number:.1}") };
    format!("{} {unit}", text.trim_end_matches(".0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_the_unit_that_a_person_would_choose() {
        for (seconds, said) in
            [(0.0, "0 s"), (60.0, "60 s"), (300.0, "5 min"), (5_400.0, "90 min"), (12_600.0, "3.5 h"), (1e6, "11.6 d")]
        {
            assert_eq!(span(Duration::from_secs_f64(seconds)), said);
        }
    }
}
