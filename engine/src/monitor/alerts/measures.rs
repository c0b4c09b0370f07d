//! Measured values beside the limits of `[monitor.alerts]`.

use std::sync::Arc;
use std::time::Duration;

use super::settings::{AlertKind, AlertSettings};
use super::throughput::{Backlog, Throughput};
use super::trend::LagTrend;
use super::window::{Cells, Sample, Window};
use super::wording::{Found, Level, Measure};
use crate::metrics::{Phase, Snapshot, StationTime};

/// An endless run is judged once so much of its first window has passed: less is noise.
const FIRST_JUDGED_AFTER: Duration = Duration::from_secs(10);
/// A share is back once it has come down to so much of its limit.
const BACK_SHARE: f64 = 0.8;
/// A value that should be high is back once it lies so far above its limit, as a share of what is left up to 1.
const BACK_ABOVE: f64 = 0.1;

/// The alerts that fire so far, as far as values depend on them.
#[derive(Clone, Debug, Default)]
pub(in crate::monitor) struct Firing {
    /// Whether that of the throughput does.
    pub(in crate::monitor) throughput: bool,
    /// The stations that are silent.
    pub(in crate::monitor) stations: Vec<Arc<str>>,
}

/// Measures a run from snapshot to snapshot.
#[derive(Debug)]
pub(in crate::monitor) struct Measures {
    settings: AlertSettings,
    is_bounded: bool,
    is_paced: bool,
    window: Window,
    throughput: Throughput,
    lag: LagTrend,
    /// When the newest record came, and how many there were then.
    newest: Option<(Duration, u64)>,
}

impl Measures {
    pub(in crate::monitor) fn new(settings: AlertSettings, is_bounded: bool, is_paced: bool) -> Measures {
        let window = Duration::from_secs(settings.window_secs.max(1));
        Measures {
            settings,
            is_bounded,
            is_paced,
            window: Window::new(window),
            throughput: Throughput::new(window),
            lag: LagTrend::default(),
            newest: None,
        }
    }

    /// The values of the window that ends now, with what fires so far. What cannot be known is left out.
    pub(in crate::monitor) fn of_window(&mut self, now: &Snapshot, firing: &Firing) -> Vec<Measure> {
        if now.phase != Phase::Running {
            // A run that starts or stops is judged by nothing.
            return Vec::new();
        }
        let (length, is_slow) = (self.window.length(), firing.throughput);
        let came = self.window.push(Sample::of(now, self.looks_at_fields()));
        if self.newest.is_none_or(|(_, read)| read != now.read) {
            self.newest = Some((now.uptime, now.read));
        }
        let rate = came.read as f64 / came.at.as_secs_f64().max(1.0);
        let backlog = backlog(now, rate);
        self.throughput.observe(now.uptime, now.read, backlog, is_slow);
        self.lag.observe(now.uptime, now.lag, length);
        let judged_after = if self.is_bounded { length } else { length.min(FIRST_JUDGED_AFTER) };
        if came.at < judged_after {
            return Vec::new();
        }
        let mut list = self.of_sums(&came, Some(came.at));
        list.extend(self.of_throughput(now, rate, backlog, is_slow));
        list.extend(self.of_lag(now));
        list.extend(self.of_newest(now));
        // Files and partitions are read one before the other: until all are read, the stations of some seem to be silent.
        if !self.is_bounded && backlog != Backlog::Behind {
            list.extend(self.of_stations(now, &firing.stations));
        }
        list
    }

    /// The values of a whole run.
    pub(in crate::monitor) fn of_run(&self, now: &Snapshot, firing: &Firing) -> Vec<Measure> {
        let mut list = self.of_sums(&Sample::of(now, self.looks_at_fields()), None);
        list.extend(self.of_stations(now, &firing.stations));
        list
    }

    fn looks_at_fields(&self) -> bool {
        let settings = &self.settings;
        [settings.missing_share, settings.unreadable_share, settings.fail_share].iter().any(Option::is_some)
    }

    fn of_sums(&self, came: &Sample, over: Option<Duration>) -> Vec<Measure> {
        let settings = &self.settings;
        let mut list = Vec::new();
        let of = |kind, subject: Option<&Arc<str>>, (value, limit), found| {
            let level = if kind == AlertKind::Quality { above(value, limit) } else { below(value, limit) };
            Measure { kind, subject: subject.cloned(), value, limit, found, level, over }
        };
        // A failed request counts as an attempt, so that an outage without a single record has an error rate too.
        let (bad, attempts) = (came.dead + came.errors, came.committed + came.errors);
        if attempts > 0 {
            let value = bad as f64 / attempts as f64;
            list.push(of(AlertKind::ErrorRate, None, (value, settings.error_rate), Found::Errors { bad, attempts }));
        }
        if came.scored > 0 {
            let (mean, records) = (came.score_sum / came.scored as f64, came.scored);
            list.push(of(AlertKind::Quality, None, (mean, settings.quality), Found::Score { mean, records }));
        }
        if let Some(limit) = settings.dead_letters.filter(|_| came.committed > 0) {
            let (dead, records) = (came.dead, came.committed);
            let value = dead as f64 / records as f64;
            list.push(of(AlertKind::DeadLetters, None, (value, limit), Found::DeadLetters { dead, records }));
        }
        type Count = fn(&Cells) -> u64;
        let shares: [(AlertKind, Option<f64>, Count); 3] = [
            (AlertKind::MissingShare, settings.missing_share, |cells| cells.missing + cells.filled),
            (AlertKind::UnreadableShare, settings.unreadable_share, |cells| cells.unreadable),
            (AlertKind::FailShare, settings.fail_share, |cells| cells.fail),
        ];
        for (kind, limit, count) in shares {
            let Some(limit) = limit else { continue };
            for (field, cells) in came.fields().filter(|(_, cells)| cells.all >= settings.min_cells.max(1)) {
                let value = count(cells) as f64 / cells.all as f64;
                list.push(of(kind, Some(field), (value, limit), Found::Cells(*cells)));
            }
        }
        list
    }

    fn of_throughput(&self, now: &Snapshot, rate: f64, backlog: Backlog, is_slow: bool) -> Option<Measure> {
        let (limit, length) = (self.settings.throughput, self.window.length());
        let of = |value, found, level| Measure {
            kind: AlertKind::Throughput,
            subject: None,
            value,
            limit,
            found,
            level,
            over: Some(length),
        };
        if self.is_paced {
            return None;
        }
        if is_slow && backlog == Backlog::CaughtUp {
            return Some(of(1.0, Found::CaughtUp { now: rate }, Level::Back));
        }
        let before = self.throughput.before(now.uptime, length)?;
        Some(of(rate / before, Found::Rate { now: rate, before }, above(rate / before, limit)))
    }

    fn of_lag(&self, now: &Snapshot) -> Option<Measure> {
        let limit = self.settings.lag_windows?;
        let (windows, before) = self.lag.grew()?;
        let level = match windows {
            0 => Level::Back,
            some if some >= limit => Level::Beyond,
            _ => Level::Within,
        };
        Some(Measure {
            kind: AlertKind::LagWindows,
            subject: None,
            value: windows.into(),
            limit: limit.into(),
            found: Found::Lag { now: now.lag?, before, windows, window: self.window.length() },
            level,
            over: None,
        })
    }

    fn of_newest(&self, now: &Snapshot) -> Option<Measure> {
        let limit = self.settings.no_data_secs? as f64;
        let (newest, _) = self.newest?;
        let passed = now.uptime.saturating_sub(newest);
        let value = passed.as_secs_f64();
        let level = below(value, limit);
        // A split that is busy with what it read asks its source for nothing.
        let is_busy = now.splits.iter().any(|split| split.is_open && split.is_busy && split.uncommitted > 0);
        let found = match is_busy && level != Level::Back {
            true => Found::NotWritten { passed, records: now.uncommitted },
            false => Found::NoData { passed },
        };
        Some(Measure { kind: AlertKind::NoDataSecs, subject: None, value, limit, found, level, over: None })
    }

    fn of_stations(&self, now: &Snapshot, firing: &[Arc<str>]) -> Vec<Measure> {
        let Some((limit, newest)) =
            self.settings.silent_after.map(|limit| limit.get()).zip(now.stations.newest_till_now_micros)
        else {
            return Vec::new();
        };
        let behind = |station: &StationTime| newest.saturating_sub(station.newest_micros).max(0) as f64 / 1e6;
        let of = |station: &Arc<str>, value, found| Measure {
            kind: AlertKind::SilentAfter,
            subject: Some(Arc::clone(station)),
            value,
            limit,
            found,
            level: below(value, limit),
            over: None,
        };
        let oldest = &now.stations.oldest;
        // A station that is not among the oldest lies no further behind than the last of these.
        let at_most = oldest.last().map_or(0.0, behind);
        let is_listed = |station: &Arc<str>| oldest.iter().any(|listed| listed.station == *station);
        let left = firing.iter().filter(|station| at_most <= limit && !is_listed(station));
        let left = left.map(|station| of(station, at_most, Found::StationSends));
        let listed = oldest.iter().map(|station| {
            let (newest_micros, behind_secs) = (station.newest_micros, behind(station));
            of(&station.station, behind_secs, Found::Station { newest_micros, behind_secs })
        });
        left.chain(listed).collect()
    }
}

/// The level of a value that should be low.
fn below(value: f64, limit: f64) -> Level {
    if value > limit {
        Level::Beyond
    } else if value <= limit * BACK_SHARE {
        Level::Back
    } else {
        Level::Within
    }
}

/// The level of a share that should be high.
fn above(value: f64, limit: f64) -> Level {
    if value < limit {
        Level::Beyond
    } else if value >= limit + BACK_ABOVE * (1.0 - limit) {
        Level::Back
    } else {
        Level::Within
    }
}

/// How much work waits, beside the rate at which records are read.
fn backlog(now: &Snapshot, rate: f64) -> Backlog {
    let is_behind = match (now.lag, now.expected) {
        (Some(lag), _) => lag as f64 > rate.max(1.0),
        (None, Some(expected)) => now.read < expected,
        (None, None) => return Backlog::Unknown,
    };
    if is_behind { Backlog::Behind } else { Backlog::CaughtUp }
}
