//! A run that tests carry from second to second.

use std::time::Duration;

use crate::metrics::{CellTally, FieldCells, Phase, Snapshot, SplitSnapshot, StationTime};
use crate::monitor::watch::Watch;
use crate::monitor::{AlertChange, AlertSettings, AlertState, MonitorSettings, Monitored, PipelineStatus};
use crate::record::Provenance;

/// A run and its monitor. The snapshot is as a test makes it.
pub(super) struct Run {
    pub(super) now: Snapshot,
    watch: Watch,
    pub(super) status: PipelineStatus,
}

/// The wall time of a run's start: seconds since 1970.
pub(super) const START: u64 = 1_700_000_000;

pub(super) fn monitored(alerts: AlertSettings) -> Monitored {
    Monitored { settings: MonitorSettings { alerts, ..MonitorSettings::default() }, ..Monitored::default() }
}

impl Run {
    /// An endless run with these limits.
    pub(super) fn with(alerts: AlertSettings) -> Run {
        Run::of(monitored(alerts))
    }

    pub(super) fn of(monitored: Monitored) -> Run {
        let split = SplitSnapshot { split: "t/0".into(), is_open: true, ..SplitSnapshot::default() };
        let now = Snapshot { phase: Phase::Running, splits: vec![split], ..Snapshot::default() };
        Run { now, watch: Watch::new(monitored), status: PipelineStatus::default() }
    }

    /// Looks, and returns what began or ended.
    pub(super) fn look(&mut self) -> Vec<AlertChange> {
        let unix_ms = START * 1_000 + self.now.uptime.as_millis() as u64;
        let (status, changes) = self.watch.observe(&self.now, unix_ms);
        self.status = status;
        changes
    }

    /// Lets seconds pass; `each` says what happens in one. Returns what began or ended, each with its second.
    pub(super) fn pass(&mut self, seconds: u64, mut each: impl FnMut(&mut Snapshot)) -> Vec<(u64, AlertChange)> {
        let mut changes = Vec::new();
        for _ in 0..seconds {
            self.now.uptime += Duration::from_secs(1);
            each(&mut self.now);
            let second = self.now.uptime.as_secs();
            changes.extend(self.look().into_iter().map(|change| (second, change)));
        }
        changes
    }

    /// Ends the run.
    pub(super) fn end(&mut self, phase: Phase) -> Vec<AlertChange> {
        self.now.phase = phase;
        self.look()
    }
}

/// Records that are read and committed at once, so many of them dead letters, the others with this score.
pub(super) fn carry(now: &mut Snapshot, records: u64, dead: u64, score: f64) {
    now.read += records;
    now.counts.read += records;
    now.counts.dead += dead;
    now.counts.written += records - dead;
    now.counts.scored += records - dead;
    now.counts.score_sum += score * (records - dead) as f64;
}

/// Adds cells of a field: observed, filled, unreadable, missing, and those among them that fail.
pub(super) fn cells(now: &mut Snapshot, field: &str, [observed, filled, unreadable, missing, fail]: [u64; 5]) {
    let place = now.fields.iter().position(|known| &*known.field == field).unwrap_or_else(|| {
        let tally = CellTally::default();
        now.fields.push(FieldCells { field: field.into(), flags: [0; 5], tally, tests: Vec::new() });
        now.fields.len() - 1
    });
    let known = &mut now.fields[place];
    known.tally.provenance[Provenance::Observed as usize] += observed;
    known.tally.provenance[Provenance::Median as usize] += filled;
    (known.tally.unreadable, known.tally.missing) =
        (known.tally.unreadable + unreadable, known.tally.missing + missing);
    known.flags[3] += fail;
}

/// The newest readings of stations: their names and times in seconds since 1970.
pub(super) fn stations(now: &mut Snapshot, newest: &[(&str, u64)]) {
    let time = |(station, second): &(&str, u64)| StationTime {
        station: (*station).into(),
        newest_micros: (*second * 1_000_000) as i64,
    };
    now.stations.oldest = newest.iter().map(time).collect();
    now.stations.oldest.sort_by_key(|station| station.newest_micros);
    now.stations.known = newest.len() as u64;
    now.stations.newest_micros = now.stations.oldest.last().map(|station| station.newest_micros);
    // No test comes so far.
    let now_micros = ((START + 500_000) * 1_000_000) as i64;
    let till_now =
        now.stations.oldest.iter().map(|station| station.newest_micros).filter(|micros| *micros < now_micros);
    now.stations.newest_till_now_micros = till_now.max();
}

/// The names of changes with their seconds.
pub(super) fn names(changes: &[(u64, AlertChange)]) -> Vec<(u64, &str, AlertState)> {
    changes.iter().map(|(second, change)| (*second, change.alert.alert.as_str(), change.state)).collect()
}

/// The texts of changes.
pub(super) fn texts(changes: &[(u64, AlertChange)]) -> Vec<&str> {
    changes.iter().map(|(_, change)| change.alert.text.as_str()).collect()
}
