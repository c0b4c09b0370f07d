//! Parts of wholes.

use kuva::plot::BarPlot;
use kuva::plot::legend::LegendShape;
use kuva::render::plots::Plot;

use super::frame::{Frame, drawn, entry, label, with_legend};
use super::ink;
use crate::numbers::{counted, number};

/// More rows are a table.
const MAX_ROWS: usize = 40;

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its parts, in the order of `parts` of [`stacked_bars`].
    pub values: Vec<f64>,
}

/// Horizontal bars of up to eight parts, such as the fills of each field by their method. Values below zero and such that are no
/// numbers count as nothing. `unit` stands below the x axis. The picture is as tall as its rows need.
#[must_use]
pub fn stacked_bars(frame: Frame<'_>, unit: &str, parts: &[&str], bars: &[Bar<'_>]) -> String {
    let left_out = bars.len().saturating_sub(MAX_ROWS);
    let parts = &parts[..parts.len().min(ink::SERIES.len())];
    // The first row is drawn at the top, which is the end of an axis.
    let rows: Vec<(&str, Vec<f64>)> = bars
        .iter()
        .take(MAX_ROWS)
        .rev()
        .map(|bar| {
            (bar.name, bar.values.iter().take(parts.len()).map(|v| if drawn(*v) { v.max(0.0) } else { 0.0 }).collect())
        })
        .collect();
    let longest = rows.iter().map(|(_, values)| values.iter().sum()).fold(0.0, f64::max);
    if longest <= 0.0 {
        return frame.empty(&format!("no {}", label(unit)));
    }
    let mut plot = BarPlot::new().with_horizontal(true).with_stacked().with_width(0.7);
    for (name, values) in &rows {
        plot = plot.with_group(label(name), values.iter().copied().zip(ink::SERIES));
    }
    let legend = parts.iter().zip(ink::SERIES).map(|(part, color)| entry(part, color, LegendShape::Rect)).collect();
    let frame = frame.tall(26 * rows.len() as u32 + 90);
    let layout = frame
        .layout((0.0, longest), (0.5, rows.len() as f64 + 0.5))
        .with_x_axis_min(0.0)
        .with_x_tick_format(kuva::TickFormat::Custom(std::sync::Arc::new(number)))
        .with_y_categories(rows.iter().map(|(name, _)| label(name)).collect())
        .with_x_label(label(unit));
    frame.draw(vec![Plot::Bar(plot)], with_legend(layout, legend), &about(&rows, parts, unit, left_out))
}

fn about(rows: &[(&str, Vec<f64>)], parts: &[&str], unit: &str, left_out: usize) -> String {
    let mut text =
        format!("{} by {}. ", label(unit), parts.iter().map(|part| label(part)).collect::<Vec<_>>().join(", "));
    for (name, values) in rows.iter().rev() {
        let named: Vec<String> = parts
            .iter()
            .zip(values)
            .filter(|(_, value)| **value > 0.0)
            .map(|(part, value)| format!("{} {}", number(*value), label(part)))
            .collect();
        let named = if named.is_empty() { "none".into() } else { named.join(", ") };
        text += &format!("{}: {named}. ", label(name));
    }
    if left_out > 0 {
        text += &format!("Not drawn: {}.", counted(left_out as u64, "more row"));
    }
    text.trim_end().into()
}
