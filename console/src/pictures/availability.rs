//! What is there when.

use kuva::plot::BarPlot;
use kuva::plot::legend::LegendShape;
use kuva::render::plots::Plot;

use super::frame::{Frame, entry, label, range, with_legend};
use super::ink;
use super::time_axis::{minute, seconds, spread, with_times};
use crate::numbers::percent;

/// More rows are a table.
const MAX_ROWS: usize = 60;

/// Pieces that a row is cut into: about the pixels of the picture.
const PIECES: usize = 400;

/// What a stretch of time holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Measured values.
    Present,
    /// Filled values.
    Filled,
    /// Nothing.
    Missing,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its begin in milliseconds since 1970, UTC.
    pub from_ms: i64,
    /// Its end, not part of it.
    pub to_ms: i64,
    /// What it holds.
    pub presence: Presence,
}

/// The row of a station or of a field.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its stretches; time in none of them is neither there nor missing, and stays empty.
    pub spans: &'a [Span],
}

/// Bars of time: broad where values are present, narrower where they are filled, a thin line where they are missing. A
/// piece of time shows what most of it holds. The picture is as tall as its rows need.
#[must_use]
pub fn availability(frame: Frame<'_>, rows: &[Row<'_>]) -> String {
    let left_out = rows.len().saturating_sub(MAX_ROWS);
    // The first row is drawn at the top, which is the end of an axis.
    let rows: Vec<Stretches<'_>> =
        rows.iter().take(MAX_ROWS).rev().map(|row| (row.name, spans_of(row.spans))).collect();
    let ends = rows.iter().flat_map(|(_, spans)| spans).flat_map(|(from, to, _)| [*from, *to]);
    let Some(times) = range(ends).map(spread) else {
        return frame.empty("no readings");
    };
    let cut: Vec<Vec<Option<Presence>>> = rows.iter().map(|(_, spans)| pieces(spans, times)).collect();
    let mut plots = Vec::new();
    let mut legend = Vec::new();
    for (presence, name, color, width) in [
        (Presence::Present, "present", ink::OBSERVED, 0.72),
        (Presence::Filled, "filled", ink::FILLED, 0.4),
        (Presence::Missing, "missing", ink::FAIL, 0.1),
    ] {
        if !cut.iter().flatten().any(|piece| *piece == Some(presence)) {
            continue;
        }
        let mut plot = BarPlot::new().with_horizontal(true).with_stacked().with_width(width);
        for ((row, _), pieces) in rows.iter().zip(&cut) {
            plot = plot.with_group(label(row), bars(pieces, presence, color, times));
        }
        plots.push(Plot::Bar(plot));
        legend.push(entry(name, color, LegendShape::Rect));
    }
    let frame = frame.tall(24 * rows.len() as u32 + 90);
    let layout = frame
        .layout(times, (0.5, rows.len() as f64 + 0.5))
        .with_y_categories(rows.iter().map(|(name, _)| label(name)).collect());
    let layout = with_legend(with_times(layout, times), legend);
    frame.draw(plots, layout, &about(&rows, times, left_out))
}

/// From when to when, in seconds.
type Stretch = (f64, f64, Presence);
type Stretches<'a> = (&'a str, Vec<Stretch>);

fn spans_of(spans: &[Span]) -> Vec<Stretch> {
    let spans = spans.iter().filter_map(|span| Some((seconds(span.from_ms)?, seconds(span.to_ms)?, span.presence)));
    spans.filter(|(from, to, _)| from < to).collect()
}

/// For each piece of time, what most of it holds.
fn pieces(spans: &[Stretch], (start, end): (f64, f64)) -> Vec<Option<Presence>> {
    let width = (end - start) / PIECES as f64;
    let mut held = vec![[0.0f64; 3]; PIECES];
    for (from, to, presence) in spans {
        let first = (((from - start) / width) as usize).min(PIECES - 1);
        let last = (((to - start) / width) as usize).min(PIECES - 1);
        for (at, held) in held.iter_mut().enumerate().take(last + 1).skip(first) {
            let piece = start + at as f64 * width;
            held[*presence as usize] += (to.min(piece + width) - from.max(piece)).max(0.0);
        }
    }
    held.iter()
        .map(|held| {
            // Of equals the last counts: what is present.
            let most = [Presence::Missing, Presence::Filled, Presence::Present]
                .into_iter()
                .max_by(|a, b| held[*a as usize].total_cmp(&held[*b as usize]))?;
            (held[most as usize] > width * 1e-6).then_some(most)
        })
        .collect()
}

/// A row as stacked bars, of which only those of one presence have a colour. The first reaches from the zero of the axis.
fn bars(
    pieces: &[Option<Presence>],
    shown: Presence,
    color: &'static str,
    (start, end): (f64, f64),
) -> Vec<(f64, &'static str)> {
    let width = (end - start) / PIECES as f64;
    let mut bars = vec![(start, "none")];
    for run in pieces.chunk_by(|a, b| (*a == Some(shown)) == (*b == Some(shown))) {
        bars.push((run.len() as f64 * width, if run[0] == Some(shown) { color } else { "none" }));
    }
    bars
}

fn about(rows: &[Stretches<'_>], (start, end): (f64, f64), left_out: usize) -> String {
    let mut text = format!("From {} to {} UTC. ", minute(start), minute(end));
    for (name, spans) in rows.iter().rev() {
        let sum = |presence| spans.iter().filter(|span| span.2 == presence).map(|(from, to, _)| to - from).sum::<f64>();
        let whole: f64 = spans.iter().map(|(from, to, _)| to - from).sum();
        let share = |presence| if whole > 0.0 { sum(presence) / whole } else { 0.0 };
        text += &format!("{}: {} present", label(name), percent(share(Presence::Present)));
        if share(Presence::Filled) > 0.0 {
            text += &format!(", {} filled", percent(share(Presence::Filled)));
        }
        text += ". ";
    }
    if left_out > 0 {
        text += &format!("{left_out} more rows are not drawn.");
    }
    text.trim_end().into()
}
