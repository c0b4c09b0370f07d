//! Which alerts fire, and what became of those before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::measures::Firing;
use super::settings::AlertKind;
use super::wording::{Found, Level, Measure};
use crate::monitor::notify_settings::AlertState;
use crate::monitor::status::AlertStatus;

/// Alerts of a kind that are named, each with its station or field. One more alert counts the rest: a person who gets more
/// messages reads none.
const NAMED_MAX: usize = 20;
/// What is said of an alert that fires while there is nothing to judge it by: its text is about an earlier time.
const STALE: &str = " (since then, there was nothing to judge it by)";
/// Changes that are kept for people who look.
const HISTORY_MAX: usize = 100;

/// An alert that began or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertChange {
    /// The pipeline.
    pub pipeline: String,
    /// The name of the process among those that run it, once it has one.
    pub instance: Option<String>,
    /// When that was.
    pub time: String,
    /// Which alert it is.
    pub kind: AlertKind,
    /// Whether it began or ended.
    pub state: AlertState,
    /// All about it.
    pub alert: AlertStatus,
}

/// Gets to know when alerts begin and end.
pub trait AlertListener: Send + Sync {
    /// An alert began or ended. It returns at once: the monitor waits for it.
    fn changed(&self, change: &AlertChange);
}

/// The alerts of one run.
#[derive(Debug)]
pub(in crate::monitor) struct Alerts {
    hold: Duration,
    firing: BTreeMap<(AlertKind, Option<Arc<str>>), FiringAlert>,
    history: VecDeque<AlertStatus>,
}

#[derive(Debug)]
struct FiringAlert {
    status: AlertStatus,
    /// Since when its value has been back.
    back_since: Option<Duration>,
    /// When it was measured last.
    measured: Duration,
}

impl Alerts {
    /// None fires. One that does is resolved once its value has been back for as long as a window.
    pub(in crate::monitor) fn new(window: Duration) -> Alerts {
        Alerts { hold: window, firing: BTreeMap::new(), history: VecDeque::new() }
    }

    /// Takes the values of a moment, and returns what begins and ends. `silent` is the number of silent stations, those included that
    /// were not measured by name. At the end of a run (`is_final`) the limit alone decides, for no value comes after it.
    pub(in crate::monitor) fn judge(
        &mut self,
        mut measures: Vec<Measure>,
        silent: u64,
        at: Duration,
        time: &str,
        is_final: bool,
    ) -> Vec<(AlertKind, AlertState, AlertStatus)> {
        // Those that are worst get a name.
        let distance = |measure: &Measure| (measure.value - measure.limit).abs();
        measures.sort_by(|a, b| a.kind.cmp(&b.kind).then(distance(b).total_cmp(&distance(a))));
        let mut changes = Vec::new();
        for kind in AlertKind::ALL {
            let of_kind = measures.iter().filter(|measure| measure.kind == kind);
            // What ends makes room for what begins.
            let (begun, others): (Vec<&Measure>, Vec<&Measure>) = of_kind.partition(|measure| {
                measure.level == Level::Beyond && !self.firing.contains_key(&(kind, measure.subject.clone()))
            });
            for measure in others {
                changes.extend(self.go_on(measure, at, time, is_final));
            }
            let mut unnamed: u64 = 0;
            for measure in &begun {
                if measure.subject.is_some() && self.named(kind) >= NAMED_MAX {
                    unnamed += 1;
                } else {
                    changes.push(self.begin(measure, at, time));
                }
            }
            let subject = measures.iter().find(|measure| measure.kind == kind && measure.subject.is_some());
            if let Some(of_subject) = subject {
                if kind == AlertKind::SilentAfter {
                    unnamed = unnamed.max(silent.saturating_sub(self.named_beyond(kind, &measures)));
                }
                let rest = Measure {
                    subject: None,
                    value: unnamed as f64,
                    found: Found::Others { count: unnamed },
                    level: if unnamed > 0 { Level::Beyond } else { Level::Back },
                    ..of_subject.clone()
                };
                if self.firing.contains_key(&(kind, None)) {
                    changes.extend(self.go_on(&rest, at, time, is_final));
                } else if unnamed > 0 {
                    changes.push(self.begin(&rest, at, time));
                }
            }
        }
        let is_stale = |alert: &FiringAlert| alert.measured < at && !alert.status.text.ends_with(STALE);
        for alert in self.firing.values_mut().filter(|alert| !is_final && is_stale(alert)) {
            alert.status.text.push_str(STALE);
        }
        changes
    }

    fn named(&self, kind: AlertKind) -> usize {
        self.firing.keys().filter(|(other, subject)| *other == kind && subject.is_some()).count()
    }

    /// The named ones of a kind that fire, without those that have come back and are only held for a while.
    fn named_beyond(&self, kind: AlertKind, measures: &[Measure]) -> u64 {
        let is_back = |subject: &Arc<str>| {
            let mut of_subject = measures.iter().filter(|measure| measure.kind == kind);
            of_subject.any(|measure| measure.subject.as_ref() == Some(subject) && measure.level != Level::Beyond)
        };
        let named = self.firing.keys().filter(|(other, _)| *other == kind).filter_map(|(_, subject)| subject.as_ref());
        named.filter(|subject| !is_back(subject)).count() as u64
    }

    fn begin(&mut self, measure: &Measure, at: Duration, time: &str) -> (AlertKind, AlertState, AlertStatus) {
        let status = AlertStatus {
            alert: measure.kind.key().to_owned(),
            subject: measure.subject.as_deref().map(str::to_owned),
            subjects: measure.subjects(),
            firing: true,
            since: time.to_owned(),
            value: measure.value,
            limit: measure.limit,
            text: measure.firing_text(),
        };
        let key = (measure.kind, measure.subject.clone());
        self.firing.insert(key, FiringAlert { status: status.clone(), back_since: None, measured: at });
        self.remember(&status);
        (measure.kind, AlertState::Firing, status)
    }

    /// An alert that may fire gets a new value.
    fn go_on(
        &mut self,
        measure: &Measure,
        at: Duration,
        time: &str,
        is_final: bool,
    ) -> Option<(AlertKind, AlertState, AlertStatus)> {
        let key = (measure.kind, measure.subject.clone());
        let alert = self.firing.get_mut(&key)?;
        (alert.status.value, alert.status.text) = (measure.value, measure.firing_text());
        // Those that have come back are held for a while, and fire as long.
        alert.status.subjects = Some(measure.subjects()).filter(|count| *count > 0).unwrap_or(alert.status.subjects);
        alert.measured = at;
        // Data that comes seldom must not end the alert of its absence each time.
        let hold = if measure.kind == AlertKind::NoDataSecs {
            self.hold.max(Duration::try_from_secs_f64(measure.limit).unwrap_or_default())
        } else {
            self.hold
        };
        let is_resolved = match measure.level {
            Level::Beyond => {
                alert.back_since = None;
                false
            }
            Level::Within | Level::Back if is_final => true,
            Level::Within => {
                alert.back_since = None;
                false
            }
            Level::Back => at.saturating_sub(*alert.back_since.get_or_insert(at)) >= hold,
        };
        if !is_resolved {
            return None;
        }
        let FiringAlert { status, .. } = self.firing.remove(&key)?;
        let text = measure.resolved_text();
        let status = AlertStatus { firing: false, since: time.to_owned(), text, ..status };
        self.remember(&status);
        Some((measure.kind, AlertState::Resolved, status))
    }

    fn remember(&mut self, status: &AlertStatus) {
        self.history.push_front(status.clone());
        self.history.truncate(HISTORY_MAX);
    }

    /// What fires, as far as values depend on it.
    pub(in crate::monitor) fn firing(&self) -> Firing {
        let stations = self.firing.keys().filter(|(kind, _)| *kind == AlertKind::SilentAfter);
        Firing {
            throughput: self.firing.contains_key(&(AlertKind::Throughput, None)),
            stations: stations.filter_map(|(_, subject)| subject.clone()).collect(),
        }
    }

    /// The alerts that fire now.
    pub(in crate::monitor) fn active(&self) -> Vec<AlertStatus> {
        self.firing.values().map(|alert| alert.status.clone()).collect()
    }

    /// The last changes, the newest first.
    pub(in crate::monitor) fn history(&self) -> Vec<AlertStatus> {
        self.history.iter().cloned().collect()
    }
}
