//! The page in a headless Chromium: what its script does, and how it looks. Screenshots are left in the build directory.

#[path = "browser/driver.rs"]
mod driver;
#[path = "../examples/page/sample.rs"]
mod sample;
#[path = "browser/server.rs"]
mod server;

use std::collections::BTreeSet;

use aqpipe_console::page::Model;
use serde_json::{Value, json};

use driver::Browser;
use server::Server;

const LINK: &str = "return document.getElementById('link').dataset.link";

fn rate_of(model: &mut Model, per_second: f64) {
    model.status.pipelines[0].read_per_second = per_second;
}

#[test]
#[ignore = "needs chromedriver and Chromium"]
fn a_browser_follows_the_stream_and_keeps_what_is_open_and_the_focus() {
    let server = Server::start(sample::model());
    let browser = Browser::open(1280, 1000);
    browser.go(&server.url());
    browser.wait_for(LINK, &json!("live"));
    let rate = "return document.querySelector('#p-figures .value').innerText";
    browser.wait_for(rate, &json!("1248/s"));
    browser
        .run("document.getElementById('d-letters').open = true; document.getElementById('d-letters-summary').focus()");
    server.change(|model| {
        rate_of(model, 777.0);
        model.view.dead_letters.swap(0, 1);
    });
    browser.wait_for(rate, &json!("777/s"));
    browser.wait_for("return document.querySelector('.letters pre').innerText.includes('yesterday')", &json!(true));
    assert_eq!(browser.run("return document.getElementById('d-letters').open"), json!(true));
    assert_eq!(browser.run("return document.activeElement.id"), json!("d-letters-summary"));
    // Who chooses a station is not disturbed by a new one.
    browser.run("document.getElementById('station').focus()");
    server.change(|model| {
        model.view.stations.push("DEBE099".into());
        rate_of(model, 778.0);
    });
    browser.wait_for(rate, &json!("778/s"));
    assert_eq!(browser.run("return document.activeElement.id"), json!("station"));
    assert_eq!(browser.run("return document.getElementById('station').options.length"), json!(3));
    browser.run("document.activeElement.blur()");
    browser.wait_for("return document.getElementById('station').options.length", &json!(4));
}

#[test]
#[ignore = "needs chromedriver and Chromium"]
fn a_browser_says_that_the_connection_is_lost_and_that_it_is_back() {
    let server = Server::start(sample::model());
    let browser = Browser::open(1280, 1000);
    browser.go(&server.url());
    browser.wait_for(LINK, &json!("live"));
    server.answers(false);
    browser.wait_for(LINK, &json!("lost"));
    let text = browser.run("return document.getElementById('link').innerText");
    assert!(text.as_str().is_some_and(|text| text.starts_with("No answer since 2026-11-26 22:03:11 UTC.")), "{text}");
    let opacity = "return Number(getComputedStyle(document.getElementById('main')).opacity) < 0.6";
    browser.wait_for(opacity, &json!(true));
    browser.screenshot("page-lost");
    server.change(|model| rate_of(model, 42.0));
    server.answers(true);
    browser.wait_for(LINK, &json!("live"));
    browser.wait_for("return document.querySelector('#p-figures .value').innerText", &json!("42/s"));
}

#[test]
#[ignore = "needs chromedriver and Chromium"]
fn a_browser_runs_no_markup_of_the_data_and_finds_no_error() {
    let server = Server::start(sample::model());
    let browser = Browser::open(1280, 1000);
    browser.go(&server.url());
    browser.wait_for(LINK, &json!("live"));
    browser.run("document.getElementById('d-letters').open = true");
    let shown = browser.run("return document.querySelector('.letters pre').innerText");
    assert_eq!(shown, json!(r"<script>alert(1)</script>\x00\xff\xfe"));
    assert_eq!(browser.run("return document.querySelectorAll('main img, main script, main b').length"), json!(0));
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
#[ignore = "needs chromedriver and Chromium"]
fn a_browser_reaches_everything_by_keyboard() {
    let server = Server::start(sample::model());
    let browser = Browser::open(1280, 1000);
    browser.go(&server.url());
    browser.wait_for(LINK, &json!("live"));
    let name = "const name = (e) => e.id || e.getAttribute('href') || e.tagName;";
    let all = browser.run(&format!(
        "{name} return [...document.querySelectorAll('a, summary, select, button, .scroll')]\
         .filter((e) => e.checkVisibility()).map(name)"
    ));
    let all: BTreeSet<&str> = all.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut reached = BTreeSet::new();
    for _ in 0..all.len() + 5 {
        browser.press_tab();
        if let Some(id) = browser.run(&format!("{name} return name(document.activeElement)")).as_str() {
            reached.insert(id.to_owned());
        }
    }
    let missed: Vec<&&str> = all.iter().filter(|id| !reached.contains(**id)).collect();
    assert!(all.len() > 15 && missed.is_empty(), "not reached: {missed:?}");
}

#[test]
#[ignore = "needs chromedriver and Chromium"]
fn a_browser_shows_it_on_phones_and_desktops_in_light_and_dark() {
    let server = Server::start(sample::model());
    for width in [1280, 390] {
        for scheme in ["light", "dark"] {
            let browser = Browser::open(1280, 1000);
            browser.emulate(width, scheme);
            browser.go(&server.url());
            browser.wait_for(LINK, &json!("live"));
            let sticks_out = "return [...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroll') && \
                              !e.closest('.skip') && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))";
            assert_eq!(browser.run(sticks_out), json!([]), "{width} {scheme}");
            let blank = "return [...document.querySelectorAll('svg')].filter((e) => e.checkVisibility() && \
                         e.getBoundingClientRect().height < 40).length";
            assert_eq!(browser.run(blank), json!(0));
            let ground = browser.run("return getComputedStyle(document.documentElement).backgroundColor");
            assert_eq!(ground == json!("rgb(14, 18, 22)"), scheme == "dark", "{ground}");
            browser.screenshot(&format!("page-{width}-{scheme}"));
        }
    }
}

#[test]
#[ignore = "needs chromedriver and Chromium"]
fn a_browser_without_scripts_shows_the_state_and_can_choose() {
    let server = Server::start(sample::model());
    let browser = Browser::open(1280, 1000);
    browser.without_scripts();
    browser.go(&server.url());
    assert_eq!(browser.text_of("h1"), "air-quality");
    assert!(browser.text_of("noscript").contains("Without scripts"));
    assert_eq!(browser.text_of("#p-figures .value"), "1248/s");
    browser.click("#show");
    server.wait_for_page(|asked| asked.contains("station=DEBE010") && asked.contains("field=NO2%28GT%29"));
}
