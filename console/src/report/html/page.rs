//! The page.

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::budget::Budget;
use super::part::section;
use super::{capture_table, days, details, fields, gaps, ranges, summary, text};
use crate::pictures::STYLE;
use crate::report::model::{DataReport, Report};

/// The style of the page beside that of its pictures.
const PAGE_STYLE: &str = include_str!("report.css");
/// Nothing is loaded, sent or run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
/// Bytes of tables and pictures: what is around them stays below the rest of 1 MB.
const CONTENT_BYTES_MAX: usize = 850_000;
/// Pipelines with sections of their own.
const DATA_MAX: usize = 8;

/// The report as a page that needs nothing beside it, of 1 MB at most: what has no room is named, and is in the JSON.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut budget = Budget::new(CONTENT_BYTES_MAX);
    let shown = &report.data[..report.data.len().min(DATA_MAX)];
    let mut bodies = Vec::new();
    for (at, data) in shown.iter().enumerate() {
        let mut share = budget.share(shown.len() - at);
        bodies.push(body(&mut share, at, data, shown.len() > 1));
        budget.give_back(&mut share);
    }
    let titles: Vec<String> = report.data.iter().map(|data| text::name(data.origin.title())).take(DATA_MAX).collect();
    let title = if titles.is_empty() { "no records".to_owned() } else { titles.join(", ") };
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "aqpipe " (report.aqpipe) };
                title { "Data quality: " (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(PAGE_STYLE)) }
            }
            body {
                header {
                    h1 { "Data quality report" }
                    p { (title) ". Made at " (moment(&report.made_at)) " by aqpipe " (report.aqpipe) "." }
                }
                (contents(shown))
                main {
                    (summary::notes(report))
                    @if report.data.iter().all(|data| data.records == 0) { p { "There are no records." } }
                    @for body in &bodies { (body) }
                    @if report.data.len() > DATA_MAX {
                        p.left-out {
                            "Not shown here: " (text::counted((report.data.len() - DATA_MAX) as u64, "more pipeline")) ". " code { "--format json" } " has all."
                        }
                    }
                    (meaning(report))
                }
            }
        }
    };
    page.into_string()
}

/// The sections of what one pipeline wrote.
fn sections(data: &DataReport) -> Vec<(&'static str, String)> {
    vec![
        ("read", "What was read".to_owned()),
        ("capture", "Data capture".to_owned()),
        ("gaps", "Availability and gaps".to_owned()),
        ("days", days::title(data)),
        ("fields", "Flags and fills".to_owned()),
        ("ranges", "Ranges".to_owned()),
        ("values", "Distributions".to_owned()),
        ("series", "Profiles and courses".to_owned()),
    ]
}

fn contents(shown: &[DataReport]) -> Markup {
    markup! {
        nav aria-label="Contents" {
            @for (at, data) in shown.iter().enumerate().filter(|(_, data)| data.records > 0) {
                @if shown.len() > 1 { b { (text::name(data.origin.title())) } }
                ul { @for (id, title) in sections(data) { li { a href={ "#" (id) (at) } { (title) } } } }
            }
        }
    }
}

fn body(budget: &mut Budget, at: usize, data: &DataReport, is_one_of_several: bool) -> Markup {
    let id = |name: &str| format!("{name}{at}");
    let titles = sections(data);
    let titled = |at: usize| titles.get(at).map_or("", |(_, title)| title);
    if data.records == 0 {
        return section(&id("read"), titled(0), &summary::origin(budget, data));
    }
    let head =
        markup! { @if is_one_of_several { h2.data { (text::name(data.origin.title())) } } (summary::glance(data)) };
    let read = summary::origin(budget, data);
    let capture = capture_table::tables(budget, data);
    let gaps = gaps::gaps(budget, data);
    let calendar = days::days(budget, data);
    let scores = data.score.as_ref().map(|score| days::scores(budget, score));
    let fields = fields::fields(budget, data);
    let ranges = ranges::ranges(budget, data);
    let values = details::distributions(budget, data);
    let detailed: Vec<_> = data.series.iter().filter(|series| series.course.is_some()).collect();
    let mut drawn = Vec::new();
    for (number, series) in detailed.iter().enumerate() {
        let unit = data.origin.units.get(&series.field).map(String::as_str);
        let Some(detail) = details::detail(budget, &format!("s{at}-{number}"), series, unit, data.origin.thresholds())
        else {
            break;
        };
        drawn.push(detail);
    }
    let series = markup! {
        p { "Of observed values: those that failed a test are among them and marked. Fills are not." }
        nav aria-label="Series" {
            ul {
                @for (number, series) in detailed.iter().take(drawn.len()).enumerate() {
                    li { a href={ "#s" (at) "-" (number) } { (details::title(series)) } }
                }
            }
        }
        @for detail in &drawn { (detail) }
        @if drawn.len() < data.series.len() {
            p.left-out {
                "No room on this page of 1 MB: " (text::counted((data.series.len() - drawn.len()) as u64, "more series")) ". "
                code { "--format json" } " has the figures of the first 64."
            }
        }
    };
    markup! {
        (head)
        (section(&id("read"), titled(0), &read))
        (section(&id("capture"), titled(1), &capture))
        (section(&id("gaps"), titled(2), &gaps))
        (section(&id("days"), titled(3), &markup! { (calendar) @if let Some(scores) = &scores { (scores) } }))
        (section(&id("fields"), titled(4), &fields))
        (section(&id("ranges"), titled(5), &ranges))
        (section(&id("values"), titled(6), &values))
        (section(&id("series"), titled(7), &series))
    }
}

/// A time in RFC 3339 and UTC, to the minute.
fn moment(time: &str) -> String {
    match time.get(..16) {
        Some(minute) if time.ends_with('Z') => format!("{} UTC", minute.replace('T', " ")),
        _ => text::name(time),
    }
}

/// What the words of the report mean.
fn meaning(report: &Report) -> Markup {
    let settings = &report.settings;
    let words = [
        ("Observed", "a value of the source, also one below a limit of detection."),
        ("Valid", "observed, and no test failed. Suspect values are valid."),
        ("Filled", "a value that was put into a gap. It is in no profile, no distribution and no data capture."),
        (
            "Data capture",
            "valid readings for each reading that the sampling step expects, from the first to the last record of all \
                          stations of the pipeline, or on the days that were asked for.",
        ),
        ("Sampling step", "the most frequent time from one record of a station to the next, unless it was given."),
        ("Gap", "a stretch of more than one and a half steps without a valid value."),
        (
            "Season",
            "December to February (DJF), March to May, June to August, September to November; December counts for the year that follows.",
        ),
        ("Times", "are by the clock that wrote the records, with its offset from UTC."),
    ];
    markup! {
        section id="meaning" {
            h2 { "What the words mean" }
            dl.facts {
                @for (word, about) in words { dt { (word) } dd { (about) } }
                @if let Some(step) = settings.step_seconds { dt { "Given" } dd { "a sampling step of " (text::duration(step)) } }
                @if let Some(from) = settings.from { dt { "Given" } dd { "the first day " (from) } }
                @if let Some(to) = settings.to { dt { "Given" } dd { "the last day " (to) } }
            }
        }
    }
}
