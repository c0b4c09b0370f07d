//! The live page, in a real browser.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::TestDir;
use crate::common::browser::Browser;
use crate::served::address;

/// How long the page may take to show something.
const SHOWN_TIMEOUT: Duration = Duration::from_secs(90);
const MARKUP: &str = "<img src=x onerror='window.ran=1'><script>window.ran=1</script>";

const PIPELINE: &str = r#"name = "watched"

[monitor]
http = "127.0.0.1:0"
alerts = { window_secs = 3, error_rate = 0.2 }

[source]
type = "csv"
path = "log.csv"
fields = ["CO", "NO2"]
follow = true
key = "station"

[[transform]]
type = "impute"
steps = [{ method = "forward_fill", limit = 3 }]

[[transform]]
type = "range_check"
[transform.ranges]
"CO" = { min = 0.0, max = 50.0 }

[[transform]]
type = "score"

[sink]
type = "csv"
dir = "out"
batch_size = 10
batch_timeout_secs = 1

[dead_letter]
type = "ndjson"
dir = "dead"
stop_above = 1.0
"#;

/// Writes a reading every 50 ms: good ones, or, while `bad`, every second one with a time that is none and a value out of range.
fn feed(dir: &TestDir, bad: &AtomicBool, end: &AtomicBool) {
    let mut file = OpenOptions::new().append(true).open(dir.path("log.csv")).expect("opens");
    let start: jiff::Timestamp = "2024-03-01T00:00:00Z".parse().expect("a time");
    for minute in 0_i64.. {
        if end.load(Ordering::Relaxed) {
            return;
        }
        let is_bad = bad.load(Ordering::Relaxed);
        let time = match is_bad && minute % 2 == 0 {
            true => MARKUP.to_owned(),
            false => (start + jiff::SignedDuration::from_mins(minute)).to_string(),
        };
        let co = if is_bad { "99" } else { "1.5" };
        let no2 = if minute % 7 == 0 { String::new() } else { (20 + minute % 30).to_string() };
        writeln!(file, "{time},north,{co},{no2}").expect("writes");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs chromedriver and Chromium"]
fn a_browser_shows_rates_alerts_and_dead_letters_and_runs_nothing_of_them() {
    let dir = TestDir::with(&[("watched.toml", PIPELINE), ("log.csv", "timestamp,station,CO,NO2\n")]);
    let (bad, end) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let feeding = scope.spawn(|| feed(&dir, &bad, &end));
        // A failed assertion must not leave the feeder, which the scope would wait for.
        let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(&dir, &bad)));
        end.store(true, Ordering::Relaxed);
        feeding.join().expect("feeds");
        watched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn watch(dir: &TestDir, bad: &AtomicBool) {
    let mut running = dir.start(&["run", "watched.toml"]);
    let url = address(&mut running);
    let browser = Browser::open(1280, 900);
    browser.go(&url);
    shows(&browser, "link", "a live connection", |text| text.contains("live"));
    // The event stream brings what the page did not have when it was loaded.
    shows(&browser, "p-throughput", "a rate", |text| rate(text).is_some_and(|rate| rate > 1.0));
    shows(&browser, "p-fills", "fills", |text| text.contains("NO2"));
    shows(&browser, "p-alerts", "no alert", |text| !text.contains("error_rate"));
    let heat = text(&browser, "p-heat");
    pictures(&browser, "good");

    bad.store(true, Ordering::Relaxed);
    shows(&browser, "p-alerts", "the alert", |text| text.contains("error_rate"));
    shows(&browser, "p-dead", "a dead letter with its bytes", |text| text.contains(MARKUP));
    shows(&browser, "p-heat", "another cell", |text| text != heat && text.contains("gross_range"));
    shows(&browser, "p-readings", "readings", |text| text.contains("CO"));
    assert_eq!(browser.run("return window.ran ?? 'nothing'"), json!("nothing"), "the data was run");
    assert_eq!(browser.run("return document.querySelectorAll('img, iframe, object').length"), json!(0));
    pictures(&browser, "bad");

    bad.store(false, Ordering::Relaxed);
    shows(&browser, "p-alerts", "the end of the alert", |text| text.contains("resolved"));
    assert_eq!(browser.console(), Vec::<String>::new());
    running.terminate();
    shows(&browser, "way", "that the connection is lost", |text| text.contains("No answer since"));
}

/// The text of an element as a person sees it; empty where there is none.
fn text(browser: &Browser, id: &str) -> String {
    let text = browser.run(&format!("return document.getElementById('{id}')?.innerText ?? ''"));
    text.as_str().unwrap_or_default().to_owned()
}

/// Waits until the text of an element holds.
#[track_caller]
fn shows(browser: &Browser, id: &str, what: &str, holds: impl Fn(&str) -> bool) {
    let began = Instant::now();
    loop {
        let text = text(browser, id);
        if holds(&text) {
            return;
        }
        assert!(began.elapsed() < SHOWN_TIMEOUT, "`{id}` does not show {what}, but:\n{text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The first number of a text.
fn rate(text: &str) -> Option<f64> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|number| number.parse().ok())
}

/// Pictures of the page, for somebody who wants to look at it.
fn pictures(browser: &Browser, name: &str) {
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")] {
        browser.emulate(width, scheme);
        browser.screenshot(&format!("page-{name}-{width}-{scheme}"));
    }
}
