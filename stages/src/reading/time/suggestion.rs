//! Which of several formats that read a sample is named.

use super::candidate::Candidate;
use super::pattern::Pattern;

/// Of so many times, a format is not meant by which they span so many times more than by another: hours of two weeks, whose days
/// would be years. Day and month the other way round make no more than thirty times as much.
const SPAN_TEXTS_MIN: usize = 8;
const SPAN_RATIO: i64 = 100;
/// Formats that are named together.
const FORMATS_MAX: usize = 3;

/// What the option `format` may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Suggestion {
    /// The likeliest one first; all of them in a list.
    pub(super) formats: Vec<String>,
    pub(super) is_list: bool,
}

impl Suggestion {
    /// The formats that read all of a sample, where there are any.
    pub(super) fn of_all(candidates: &[Candidate], own: Option<&Pattern>, sample: &[Box<[u8]>]) -> Option<Suggestion> {
        let mut all: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.reads_all()).collect();
        if let [text] = sample
            && is_short(text)
        {
            return None;
        }
        let own = own.map(|own| order_of(&own.text));
        // The order of day and month that the options have comes first.
        all.sort_by_key(|candidate| Some(order_of(&candidate.text)) != own);
        let span = |candidate: &Candidate| {
            let times = || candidate.times.iter().flatten();
            times().max().zip(times().min()).map_or(0, |(last, first)| last - first)
        };
        let least = all.iter().map(|candidate| span(candidate)).min().unwrap_or(0);
        if sample.len() >= SPAN_TEXTS_MIN && least > 0 {
            all.retain(|candidate| span(candidate) / SPAN_RATIO < least);
        }
        // Hardly anyone writes the day between year and month.
        if all.iter().any(|candidate| order_of(&candidate.text) == "ymd") {
            all.retain(|candidate| order_of(&candidate.text) != "ydm");
        }
        let mut named: Vec<&Candidate> = Vec::new();
        for candidate in all {
            if named.len() < FORMATS_MAX && !named.iter().any(|known| known.times == candidate.times) {
                named.push(candidate);
            }
        }
        let formats: Vec<String> = named.iter().map(|candidate| candidate.text.clone()).collect();
        (!formats.is_empty()).then_some(Suggestion { formats, is_list: false })
    }

    /// Two formats that read a sample between them, and no text as two times.
    pub(super) fn of_two(candidates: &[Candidate]) -> Option<Suggestion> {
        let reads = |candidate: &Candidate| candidate.times.iter().flatten().count();
        let sound = || candidates.iter().filter(|candidate| candidate.is_sound());
        let first = sound().rev().max_by_key(|candidate| reads(candidate))?;
        if reads(first) == first.times.len() {
            return None;
        }
        let fits = |other: &&Candidate| {
            let agree = |(one, two): (&Option<i64>, &Option<i64>)| match (one, two) {
                (Some(one), Some(two)) => one == two,
                (None, None) => false,
                _ => true,
            };
            swapped(&first.text) != order_of(&other.text) && first.times.iter().zip(&other.times).all(agree)
        };
        let other = sound().filter(|candidate| candidate.text != first.text).find(fits)?;
        Some(Suggestion { formats: vec![first.text.clone(), other.text.clone()], is_list: true })
    }

    /// The option.
    pub(super) fn option(&self) -> String {
        match self.formats.as_slice() {
            [first, second] if self.is_list => format!("`format = [\"{first}\", \"{second}\"]`"),
            formats => format!("`format = \"{}\"`", formats.first().map_or("", String::as_str)),
        }
    }
}

/// Whether a text alone says too little of its format: `2024 1 30` is a day of the year and half an hour to others.
fn is_short(text: &[u8]) -> bool {
    const DIGITS_MIN: usize = 6;
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let last = text.rsplit(u8::is_ascii_whitespace).next().unwrap_or_default();
    let is_one_number = last.len() < text.len() && last.len() < 3 && last.iter().all(u8::is_ascii_digit);
    digits < DIGITS_MIN || is_one_number
}

/// The order of day, month and year in a format.
pub(super) fn order_of(format: &str) -> String {
    format
        .chars()
        .filter_map(|c| match c {
            'd' | 'e' => Some('d'),
            'm' | 'b' | 'B' => Some('m'),
            'Y' | 'y' => Some('y'),
            _ => None,
        })
        .collect()
}

/// The order of a format with day and month the other way round; of one without them, an order that no format has.
pub(super) fn swapped(format: &str) -> String {
    let order = order_of(format);
    if !(order.contains('d') && order.contains('m')) {
        return "-".to_owned();
    }
    let other = |c| match c {
        'd' => 'm',
        'm' => 'd',
        c => c,
    };
    order.chars().map(other).collect()
}
