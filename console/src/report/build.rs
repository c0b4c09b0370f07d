//! From what was gathered to the report.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqpipe_engine::record::{Flag, Provenance};

use super::aggregator::{Aggregator, DETAILED_MAX, Data, SERIES_DAYS_MAX, SERIES_MAX};
use super::capture::{Schedule, captures};
use super::civil::{DAY_MICROS, Day, LocalTime, SECOND_MICROS};
use super::days::{DAYS_MAX, days, worst_days};
use super::model::{Course, DataReport, FORMAT, FieldReport, Profiles, Report, SeriesReport, StationReport};
use super::series::Series;
use super::settings::Settings;
use super::stations::{STATIONS_MAX, Station};
use super::values::Values;

impl Aggregator {
    /// The report of what was taken; `made_at` is the present time in RFC 3339.
    #[must_use]
    pub fn finish(mut self, made_at: String) -> Report {
        for series in &mut self.series {
            series.flush(&mut self.days_left);
        }
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.bounds_that_were_met());
        let names = Names { stations: &self.stations.list, fields: &self.fields, tests: &self.tests };
        let mut of_data: Vec<Vec<Series>> = self.data.iter().map(|_| Vec::new()).collect();
        // A station whose fields came later has them beside its others.
        self.series.sort_by_key(|series| (series.station, series.field));
        for series in self.series {
            of_data[names.stations[series.station].data].push(series);
        }
        let settings = self.settings;
        let data = self.data.into_iter().zip(of_data).enumerate();
        let data: Vec<DataReport> =
            data.map(|(at, (data, series))| data_report(at, data, series, &names, &settings)).collect();
        notes.extend(data.iter().flat_map(notes_of));
        Report { format: FORMAT, aqpipe: env!("CARGO_PKG_VERSION"), made_at, settings, notes, data }
    }

    /// What had no room.
    fn bounds_that_were_met(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.outside > 0 {
            notes.push(format!("{} records are of other days and left out.", self.outside));
        }
        if self.other_records > 0 {
            let records = self.other_records;
            notes.push(format!("{records} records of more than {STATIONS_MAX} stations are counted and nothing else."));
        }
        let others = self.other_cells.cells();
        if others > 0 {
            notes.push(format!("{others} cells of more than {SERIES_MAX} series (station and field) are left out."));
        }
        if self.days_left == 0 {
            notes.push(format!(
                "More than {SERIES_DAYS_MAX} days of series came: days beyond are in months and totals, not in calendars and \
                 worst days."
            ));
        }
        if self.series.len() > DETAILED_MAX {
            notes.push(format!("Profiles and courses are those of the first {DETAILED_MAX} series."));
        }
        notes
    }
}

/// What numbers stand for.
struct Names<'a> {
    stations: &'a [Station],
    fields: &'a [String],
    tests: &'a [String],
}

fn notes_of(data: &DataReport) -> Vec<String> {
    let title = data.origin.title();
    let mut notes = Vec::new();
    if !data.origin.has_marks && data.records > 0 {
        notes.push(format!(
            "{title}: the records do not say of what quality their values are. A value that was filled counts as observed here."
        ));
    }
    notes.extend(data.origin.doubt());
    let wrote = &data.origin.written_by;
    if wrote.iter().any(|one| one.generated) {
        let part = if wrote.iter().all(|one| one.generated) { "readings" } else { "a part of the readings" };
        notes.push(format!("{title}: aqpipe generated {part}, as the data package says. Nobody measured them."));
    }
    let sum = |count: fn(&StationReport) -> u64| data.stations.iter().map(count).sum::<u64>();
    let (repeated, late) = (sum(|station| station.repeated), sum(|station| station.late));
    if repeated > 0 {
        notes.push(format!(
            "{title}: {repeated} records have the time of the record before. Where both have a value it counts twice, and capture is too high."
        ));
    }
    if late > 0 {
        notes.push(format!(
            "{title}: {late} records are earlier than the record before. Gaps are listed as if they had not come."
        ));
    }
    notes
}

fn data_report(at: usize, data: Data, series: Vec<Series>, names: &Names<'_>, settings: &Settings) -> DataReport {
    let stations: Vec<&Station> = names.stations.iter().filter(|station| station.data == at).collect();
    let first = stations.iter().map(|station| station.first).min();
    let period = first.zip(stations.iter().map(|station| station.last).max());
    let common = common_step(&stations);
    let schedule_of = |station: &Station| schedule(station, period?, common, settings);
    // Series of stations with the same step expect the same.
    let mut known: (Option<(LocalTime, LocalTime, i64)>, Arc<BTreeMap<Day, u64>>) = Default::default();
    let built: Vec<(SeriesReport, Option<Schedule>)> = series
        .into_iter()
        .map(|series| {
            let schedule = schedule_of(&names.stations[series.station]);
            let has_threshold = data.threshold(&names.fields[series.field]).is_some();
            if known.0 != schedule.map(|one| (one.from, one.end, one.step)) {
                let expected = schedule.map(|one| Arc::new(expected_days(&one))).unwrap_or_default();
                known = (schedule.map(|one| (one.from, one.end, one.step)), expected);
            }
            (series_report(series, names, schedule, Arc::clone(&known.1), has_threshold), schedule)
        })
        .collect();
    let days = days(built.iter().map(|(series, schedule)| (series, *schedule)));
    let series: Vec<SeriesReport> = built.into_iter().map(|(series, _)| series).collect();
    let score = data.scores.finish();
    DataReport {
        worst_days: worst_days(&days, &series, score.as_ref()),
        fields: fields(&series),
        stations: stations.iter().map(|station| station_report(station, settings)).collect(),
        origin: data.origin,
        inputs: data.inputs,
        records: data.records,
        unreadable_records: data.unreadable,
        unreadable_examples: data.examples,
        period,
        series,
        score,
        days,
    }
}

fn step_of(station: &Station, settings: &Settings) -> Option<i64> {
    let given = settings.step_seconds.map(|seconds| (seconds * SECOND_MICROS as f64) as i64);
    given.or_else(|| station.steps.step()).filter(|step| *step > 0)
}

/// The step of most stations, for those that have one record.
fn common_step(stations: &[&Station]) -> Option<i64> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    stations.iter().filter_map(|station| station.steps.step()).for_each(|step| *counts.entry(step).or_default() += 1);
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(step, _)| step)
}

/// When readings of a station are expected: from the first to the last record of all stations, or on the days that were asked for.
fn schedule(
    station: &Station,
    period: (LocalTime, LocalTime),
    common: Option<i64>,
    settings: &Settings,
) -> Option<Schedule> {
    let step = step_of(station, settings).or(common)?;
    let from = settings.from.map_or(period.0, |day| day.start());
    let end = match settings.to {
        Some(day) => LocalTime(day.start().0.saturating_add(DAY_MICROS)),
        None => LocalTime(period.1.0.saturating_add(step)),
    };
    Some(Schedule { from, end, step })
}

fn station_report(station: &Station, settings: &Settings) -> StationReport {
    StationReport {
        station: station.name.clone(),
        records: station.records,
        first: station.first,
        last: station.last,
        step_seconds: step_of(station, settings).map(|step| step as f64 / SECOND_MICROS as f64),
        repeated: station.repeated,
        late: station.late,
    }
}

fn series_report(
    mut series: Series,
    names: &Names<'_>,
    schedule: Option<Schedule>,
    expected: Arc<BTreeMap<Day, u64>>,
    has_threshold: bool,
) -> SeriesReport {
    let (longest_gaps, gaps) = schedule.map_or_else(Default::default, |Schedule { from, end, step }| {
        series.gaps.finish(step, (from, LocalTime(end.0.saturating_sub(step))))
    });
    let capture = schedule.map(|schedule| captures(&series.months, &series.total, &schedule)).unwrap_or_default();
    let tests = series.tests.iter().enumerate().filter(|(_, count)| **count > 0);
    let profile = |values: &mut Vec<Values>| values.iter_mut().map(Values::point).collect();
    let (mut profiles, mut course) = (None, None);
    if let Some(mut detail) = series.detail.take() {
        profiles = Some(Profiles {
            diurnal: profile(&mut detail.hours),
            weekly: profile(&mut detail.weekdays),
            monthly: profile(&mut detail.months),
        });
        let (bin_seconds, bins) = detail.trend.finish();
        course = Some(Course { bin_seconds, bins });
    }
    SeriesReport {
        station: names.stations[series.station].name.clone(),
        field: names.fields[series.field].clone(),
        cells: series.total,
        fills: fills(&series.fills),
        tests: tests.map(|(test, count)| (names.tests[test].clone(), *count)).collect(),
        flags: Flag::ALL.iter().map(|flag| flag.name()).zip(series.flags).collect(),
        capture,
        gaps,
        longest_gaps,
        distribution: series.values.distribution(),
        exceedances: has_threshold.then_some(series.exceedances),
        profiles,
        course,
        days: series.days,
        expected,
    }
}

/// The readings that a schedule expects on each day.
fn expected_days(schedule: &Schedule) -> BTreeMap<Day, u64> {
    let (first, last) = (schedule.from.day(), LocalTime(schedule.end.0.saturating_sub(1)).day());
    let days = (first.0..=last.0).take(DAYS_MAX).map(Day);
    days.map(|day| (day, schedule.readings(day.start(), Day(day.0.saturating_add(1)).start()))).collect()
}

fn fills(counts: &[u64; 16]) -> BTreeMap<&'static str, u64> {
    let named = Provenance::ALL.iter().map(|fill| (fill.name(), counts[*fill as usize & 15]));
    named.filter(|(_, count)| *count > 0).collect()
}

/// The fields of all series, in the order in which they came.
fn fields(series: &[SeriesReport]) -> Vec<FieldReport> {
    let mut fields: Vec<FieldReport> = Vec::new();
    for series in series {
        let at = fields.iter().position(|field| field.field == series.field).unwrap_or_else(|| {
            fields.push(FieldReport { field: series.field.clone(), ..FieldReport::default() });
            fields.len() - 1
        });
        let field = &mut fields[at];
        field.cells.add_all(&series.cells);
        series.flags.iter().for_each(|(flag, count)| *field.flags.entry(flag).or_default() += count);
        series.fills.iter().for_each(|(fill, count)| *field.fills.entry(fill).or_default() += count);
        series.tests.iter().for_each(|(test, count)| *field.tests.entry(test.clone()).or_default() += count);
    }
    fields
}
