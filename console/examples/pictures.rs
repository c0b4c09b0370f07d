//! Writes a page with one picture of each kind, to look at: `cargo run -p aqpipe-console --example pictures -- FILE`.

use std::io;

use aqpipe_console::pictures::{
    Bar, Frame, HeatCell, Held, Limit, Line, Mark, Reading, Row, STYLE, Scale, Shade, Span, Step, availability,
    calendar, heat_map, histogram, profile, series, stacked_bars, terminal_line, trend,
};

const START_MS: i64 = 1_078_941_600_000;
const HOUR_MS: i64 = 3_600_000;

fn main() -> io::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| io::Error::other("name a file to write"))?;
    let mut page = format!(
        "<!doctype html><meta charset=utf-8><style>{STYLE}\
         body{{font:15px system-ui,sans-serif;background:var(--pic-ground);max-width:1100px;margin:1rem auto;padding:0 1rem}}\
         main{{display:grid;gap:1.5rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,32rem),1fr))}}\
         .full{{grid-column:1/-1;overflow-x:auto}}h2{{font-size:1rem;color:var(--pic-text)}}</style><main>"
    );
    for (class, name, svg) in pictures() {
        page += &format!("<section class={class}><h2>{name}, {} bytes</h2>{svg}</section>", svg.len());
    }
    let line: Vec<(i64, Option<f64>)> = readings(120).iter().map(|reading| (reading.time_ms, reading.value)).collect();
    page += &format!("<section><h2>terminal</h2><pre>{}</pre></section>", terminal_line(&line, 60, 4));
    std::fs::write(path, page)
}

fn pictures() -> Vec<(&'static str, &'static str, String)> {
    vec![
        ("half", "series", series(Frame::half("NO2 at S1"), Some("µg/m³"), &readings(200), &limits())),
        ("half", "trend", rate()),
        ("full", "series", series(Frame::full("NO2 at S1"), Some("µg/m³"), &readings(9_000), &limits())),
        ("half", "histogram", scores()),
        ("half", "heat map", heat()),
        ("half", "calendar", calendar(Frame::half("Days"), Shade::Better, "of the readings are there", &days(390))),
        ("half", "profile", hours()),
        ("half", "availability", presence()),
        ("half", "stacked bars", fills()),
        ("full", "calendar", calendar(Frame::full("Days"), Shade::Better, "of the readings are there", &days(390))),
        ("half", "empty", series(Frame::half("NO2 at S1"), None, &[], &[])),
        ("half", "one point", series(Frame::half("NO2 at S1"), None, &readings(1), &[])),
    ]
}

fn readings(count: i64) -> Vec<Reading> {
    (0..count)
        .filter(|hour| hour % 97 > 5)
        .chain([0])
        .map(|hour| {
            let value =
                40.0 + 25.0 * (hour as f64 * 0.26).sin() + 15.0 * (hour as f64 * 0.013).cos() + (hour % 7) as f64;
            let (value, mark) = match hour {
                h if h % 53 == 7 => (value + 60.0, Mark::Suspect),
                h if h % 131 == 77 => (value + 150.0, Mark::Fail),
                h if h % 97 > 90 => (value, Mark::Filled),
                _ => (value, Mark::Observed),
            };
            Reading { time_ms: START_MS + hour * HOUR_MS, value: Some(value), mark }
        })
        .collect()
}

fn rate() -> String {
    let line = |shift: f64, scale: f64| -> Vec<(i64, Option<f64>)> {
        let value = |i: i64| scale * (100.0 + 20.0 * (i as f64 * 0.1 + shift).sin());
        (0..180).map(|i| (START_MS + i * 5_000, (i / 20 != 4).then(|| value(i)))).collect()
    };
    let (read, written) = (line(0.0, 1.0), line(0.4, 0.9));
    let lines = [Line { name: "read", points: &read }, Line { name: "written", points: &written }];
    trend(Frame::half("Throughput"), Some("records/s"), Scale::FromZero, &lines)
}

fn scores() -> String {
    let edges: Vec<f64> = (0..=20).map(|i| f64::from(i) * 5.0).collect();
    let counts: Vec<u64> = (0..20).map(|i| i * i * 3 + (i == 4) as u64 * 400).collect();
    histogram(Frame::half("Quality scores"), Some("score"), &edges, &counts)
}

fn heat() -> String {
    let tests = ["gross_range", "climatology", "spike", "rate_of_change", "flat_line", "syntax"];
    let fields = ["CO(GT)", "NMHC(GT)", "C6H6(GT)", "NOx(GT)", "<script>alert(1)</script>", "T"];
    let cells: Vec<Option<HeatCell>> = (0..fields.len() * tests.len())
        .map(|i| {
            (i % 11 != 3).then(|| HeatCell { count: (i * i * 37 % 2000) as u64, share: (i * i % 29) as f64 / 40.0 })
        })
        .collect();
    heat_map(Frame::half("Flags by field and test"), Shade::Worse, &fields, &tests, &cells)
}

fn days(count: i64) -> Vec<(i64, f64)> {
    (0..count)
        .filter(|day| day % 50 != 30)
        .map(|day| (START_MS + day * 24 * HOUR_MS, (day * 37 % 101) as f64 / 100.0))
        .collect()
}

fn limits() -> Vec<Limit> {
    let limit = |value: f64, name: &str, fails| Limit { value, name: name.into(), fails };
    vec![limit(0.0, "fail below 0", true), limit(80.0, "suspect above 80", false), limit(120.0, "fail above 120", true)]
}

fn hours() -> String {
    let middle = |hour: i32| 40.0 + 20.0 * (f64::from(hour) / 24.0 * 6.3).sin();
    let steps: Vec<Step> = (0..24)
        .map(|hour| Step {
            name: format!("{hour}"),
            middle_low_high: (hour != 4).then(|| (middle(hour), middle(hour) - 12.0, middle(hour) + 20.0)),
        })
        .collect();
    profile(Frame::half("NO2 by hour of day"), Some("µg/m³"), "5 % to 95 %", &steps)
}

fn presence() -> String {
    let spans = |shift: i64| -> Vec<Span> {
        (0..40)
            .map(|i| Span {
                from_ms: START_MS + i * 200 * HOUR_MS,
                to_ms: START_MS + (i + 1) * 200 * HOUR_MS,
                held: match (i + shift) % 7 {
                    0 => Held { missing: 24.0, ..Held::default() },
                    1 => Held { valid: 5.0, filled: 19.0, ..Held::default() },
                    2 => Held { valid: 19.0, failed: 5.0, ..Held::default() },
                    3 => Held { valid: 21.0, unreadable: 3.0, ..Held::default() },
                    _ => Held { valid: 23.0, missing: 1.0, ..Held::default() },
                },
            })
            .collect()
    };
    let (first, second) = (spans(0), spans(3));
    let rows = [Row { name: "S1", spans: &first }, Row { name: "S2", spans: &second }, Row { name: "S3", spans: &[] }];
    availability(Frame::half("Availability"), &rows)
}

fn fills() -> String {
    let bars = [
        Bar { name: "CO(GT)", values: vec![120.0, 40.0, 0.0] },
        Bar { name: "NMHC(GT)", values: vec![80.0, 400.0, 900.0] },
        Bar { name: "T", values: vec![12.0, 0.0, 3.0] },
    ];
    stacked_bars(Frame::half("Fills by method"), "fills", &["forward_fill", "interpolated", "median"], &bars)
}
