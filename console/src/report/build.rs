//! From what was gathered to the report.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aqpipe_engine::record::{Flag, Provenance};

use super::aggregator::{Aggregator, Data, SERIES_DAYS_MAX};
use super::capture::{Capture, Ends, captures};
use super::civil::{DAY_MICROS, Day, LocalTime, SECOND_MICROS};
use super::days::{days, worst_days};
use super::expected::{Expected, Moment, Span};
use super::gaps::Gap;
use super::model::{Course, DataReport, FORMAT, FieldReport, Profiles, Report, SeriesReport, StationReport};
use super::notes::{no_room_for_days, notes_of};
use super::series::Series;
use super::settings::Settings;
use super::stations::Station;
use super::step::Step;
use super::values::Values;
use super::walk::{distances, walk};

impl Aggregator {
    /// The report of what was taken; `made_at` is the present time in RFC 3339.
    #[must_use]
    pub fn finish(mut self, made_at: String) -> Report {
        let mut notes = std::mem::take(&mut self.notes);
        let more_notes = self.bounds_that_were_met();
        let names = Names { stations: &self.stations.list, fields: &self.fields, tests: &self.tests };
        let mut of_data: Vec<Vec<Series>> = self.data.iter().map(|_| Vec::new()).collect();
        // A station whose fields came later has them beside its others.
        self.series.sort_by_key(|series| (series.station, series.field));
        for series in self.series {
            of_data[names.stations[series.station].data].push(series);
        }
        let mut cx = Context { settings: self.settings, days_left: SERIES_DAYS_MAX };
        let data = self.data.into_iter().zip(of_data).enumerate();
        let data: Vec<DataReport> =
            data.map(|(at, (data, series))| data_report(at, data, series, &names, &mut cx)).collect();
        notes.extend(more_notes);
        notes.extend((cx.days_left == 0).then(no_room_for_days));
        notes.extend(data.iter().flat_map(notes_of));
        Report { format: FORMAT, aqpipe: env!("CARGO_PKG_VERSION"), made_at, settings: cx.settings, notes, data }
    }
}

/// What was asked for, and how many more days of series may be kept apart.
struct Context {
    settings: Settings,
    days_left: usize,
}

/// What numbers stand for.
struct Names<'a> {
    stations: &'a [Station],
    fields: &'a [String],
    tests: &'a [String],
}

fn data_report(at: usize, data: Data, mut series: Vec<Series>, names: &Names<'_>, cx: &mut Context) -> DataReport {
    let stations: Vec<(usize, &Station)> =
        names.stations.iter().enumerate().filter(|(_, station)| station.data == at).collect();
    let ends = || stations.iter().filter_map(|(_, station)| station.ends);
    let first = ends().map(|(first, _)| first.instant).min();
    let period = first.zip(ends().map(|(_, last)| last.instant).max());
    let steps: BTreeMap<usize, Option<Step>> =
        stations.iter().map(|(number, station)| (*number, step_of(station, &cx.settings))).collect();
    let common = common_step(steps.values().flatten());
    let mut expected: HashMap<Day, u64> = HashMap::new();
    let mut reports: Vec<SeriesReport> = Vec::new();
    // Series come station by station.
    for of_station in series.chunk_by_mut(|a, b| a.station == b.station) {
        let Some((number, station)) = of_station.first().map(|one| (one.station, &names.stations[one.station])) else {
            continue;
        };
        let step = steps.get(&number).copied().flatten().or(common);
        let schedule = step.and_then(|step| schedule(station, period?, step, &cx.settings));
        let span = schedule.as_ref().map(|(span, _)| span);
        let of_all = walk(&station.timeline, of_station, span, &mut cx.days_left);
        if schedule.is_some() {
            add_days(&mut expected, &of_all, of_station.len() as u64);
        }
        let of_days = if schedule.is_some() {
            of_all.days.iter().map(|(day, number)| (*day, *number)).collect()
        } else {
            BTreeMap::new()
        };
        let of_days = Arc::new(of_days);
        for one in of_station {
            let has_threshold = data.threshold(&names.fields[one.field]).is_some();
            let times = schedule.as_ref().map(|(span, ends)| times(one, &of_all, span, ends)).unwrap_or_default();
            reports.push(SeriesReport {
                expected: Arc::clone(&of_days),
                ..series_report(one, names, times, has_threshold)
            });
        }
    }
    let days = days(&reports, &expected);
    let score = data.scores.finish();
    let stations: Vec<StationReport> = stations
        .iter()
        .filter_map(|(number, station)| station_report(station, steps.get(number).copied().flatten()))
        .collect();
    let first = stations.iter().map(|station| station.first).min();
    DataReport {
        worst_days: worst_days(&days, &reports, score.as_ref()),
        fields: fields(&reports),
        period: first.zip(stations.iter().map(|station| station.last).max()),
        stations,
        origin: data.origin,
        inputs: data.inputs,
        records: data.records,
        unreadable_records: data.unreadable,
        unreadable_examples: data.examples,
        series: reports,
        score,
        days,
    }
}

/// The step of a station: as it was asked for, or as its times have it.
fn step_of(station: &Station, settings: &Settings) -> Option<Step> {
    let mut found = distances(&station.timeline);
    match settings.step_seconds.map(|seconds| (seconds * SECOND_MICROS as f64) as i64).filter(|step| *step > 0) {
        Some(given) => Some(found.given(given)),
        None => found.step(),
    }
}

/// The step of most stations, the shortest of several, for those that have one record.
fn common_step<'s>(steps: impl Iterator<Item = &'s Step>) -> Option<Step> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    steps.for_each(|step| *counts.entry(step.micros).or_default() += 1);
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    most.map(|(micros, _)| Step { micros, jitter: 0 })
}

/// When readings of a station are expected: from the first to the last record of all stations, or on the days that were asked for by
/// its own clock.
fn schedule(station: &Station, period: (i64, i64), step: Step, settings: &Settings) -> Option<(Span, Ends)> {
    let (first, last) = station.ends?;
    let instant_of = |local: LocalTime, clock: Moment| local.0.saturating_sub(LocalTime::of(0, clock.offset).0);
    let begin = settings.from.map(Day::start);
    let end = settings.to.map(|day| LocalTime(day.start().0.saturating_add(DAY_MICROS)));
    let span = Span {
        from: begin.map_or(period.0, |begin| instant_of(begin, first)),
        to: end.map_or(period.1, |end| instant_of(end, last).saturating_sub(1)),
        step: step.micros,
        jitter: if begin.or(end).is_some() { 0 } else { step.jitter },
    };
    let ends = Ends {
        from: begin.unwrap_or_else(|| LocalTime::of(span.from, first.offset)),
        end: end.unwrap_or_else(|| LocalTime::of(span.to.saturating_add(step.micros), last.offset)),
        step: step.micros,
    };
    Some((span, ends))
}

fn add_days(days: &mut HashMap<Day, u64>, expected: &Expected, series: u64) {
    for (day, readings) in &expected.days {
        let known = days.entry(*day).or_default();
        *known = known.saturating_add(readings.saturating_mul(series));
    }
}

fn station_report(station: &Station, step: Option<Step>) -> Option<StationReport> {
    let seconds = |micros: i64| micros as f64 / SECOND_MICROS as f64;
    let (first, last) = station.ends?;
    Some(StationReport {
        station: station.name.clone(),
        records: station.records,
        first: first.local(),
        last: last.local(),
        step_seconds: step.map(|step| seconds(step.micros)),
        jitter_seconds: step.map(|step| seconds(step.jitter)),
        repeated: station.repeated(),
        late: station.late,
    })
}

/// What follows from the times of a series.
#[derive(Default)]
struct Times {
    capture: Vec<Capture>,
    gaps: u64,
    longest_gaps: Vec<Gap>,
}

fn times(series: &mut Series, expected: &Expected, span: &Span, ends: &Ends) -> Times {
    let (longest_gaps, gaps) = series.gaps.finish(expected.whole, (span.from, span.to));
    Times { capture: captures(&series.months, &series.total, expected, ends), gaps, longest_gaps }
}

fn series_report(series: &mut Series, names: &Names<'_>, times: Times, has_threshold: bool) -> SeriesReport {
    let Times { capture, gaps, longest_gaps } = times;
    let mut cells = series.total;
    cells.add_all(&series.beyond);
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
        cells,
        doubled: series.doubled,
        fills: fills(&series.fills),
        tests: tests.map(|(test, count)| (names.tests[test].clone(), *count)).collect(),
        flags: Flag::ALL.iter().map(|flag| flag.name()).zip(series.flags).collect(),
        capture,
        gaps,
        longest_gaps,
        distribution: series.values.distribution(),
        exceedances: has_threshold.then(|| std::mem::take(&mut series.exceedances)),
        profiles,
        course,
        days: std::mem::take(&mut series.days),
        expected: Arc::default(),
    }
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
