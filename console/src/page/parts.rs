//! Pieces of markup that several panels share.

use aqpipe_engine::printable;
use maud::{Markup, html};

use crate::names::{is_long, name};
use crate::numbers::{count, number, plural};

/// Text from outside on one line, with nothing in it that is not seen. maud escapes it as markup.
pub(super) fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    printable::line(text)
}

/// The head of a row: a name from outside, on several lines where it is long.
pub(super) fn row_head(text: &str) -> Markup {
    let text = name(text);
    html! { th scope="row" .long[is_long(&text)] { (text) } }
}

/// A message of ours: what stands between backticks is code.
pub(super) fn marked(text: &str) -> Markup {
    let text = plain(text);
    let pieces: Vec<&str> = text.split('`').collect();
    // An open backtick is one of the data.
    if pieces.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! { @for (at, piece) in pieces.iter().enumerate() { @if at % 2 == 1 { code { (piece) } } @else { (piece) } } }
}

/// A rate.
pub(super) fn rate(per_second: f64) -> String {
    let rounded = match per_second {
        100.0.. => per_second.round(),
        10.0.. => (per_second * 10.0).round() / 10.0,
        _ => (per_second * 100.0).round() / 100.0,
    };
    format!("{}/s", number(rounded))
}

/// A count at the right of its column; nothing to worry about is pale.
pub(super) fn cell(value: u64) -> Markup {
    html! { td.n.zero[value == 0] { (count(value)) } }
}

/// A count that asks for attention where it is not zero.
pub(super) fn cell_of(tone: Tone, value: u64) -> Markup {
    if value == 0 {
        cell(value)
    } else {
        html! { td.n.(tone.class()) { (count(value)) } }
    }
}

/// A header of a column of numbers.
pub(super) fn head(name: &str) -> Markup {
    html! { th.n scope="col" { (name) } }
}

/// What a state means for whoever looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
    Idle,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Idle => "idle",
        }
    }
}

/// Something wide that scrolls by itself, also by keyboard.
pub(super) fn scroll(id: &str, name: &str, content: &Markup) -> Markup {
    html! { div.scroll id=(id) tabindex="0" role="region" aria-label=(name) { (content) } }
}

/// Something that opens.
pub(super) fn fold(id: &str, summary: &str, content: &Markup) -> Markup {
    html! {
        details id=(id) {
            summary id=(format!("{id}-summary")) { (summary) }
            (content)
        }
    }
}

/// How many more there are than were shown; `what` is one of them.
pub(super) fn more(all: usize, shown: usize, what: &str) -> Markup {
    let left = all.saturating_sub(shown) as u64;
    html! { @if left > 0 { p.note { "Not shown here: " (count(left)) " more " (plural(left, what)) ". All are in " a href="/api/status" { "/api/status" } "." } } }
}

/// A time of a status, to the second and without its zone, which is always UTC.
pub(super) fn time(rfc3339: &str) -> Markup {
    let text = plain(rfc3339);
    let shown = text.get(..19).map_or_else(|| text.to_string(), |text| text.replacen('T', " ", 1));
    html! { time datetime=(text) { (shown) } }
}
