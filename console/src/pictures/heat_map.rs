//! What fails where.

use std::sync::Arc;

use kuva::AxisLabelOverlap;
use kuva::plot::{ColorMap, Heatmap};
use kuva::render::annotations::TextAnnotation;
use kuva::render::plots::Plot;

use super::frame::{Frame, label};
use super::ink::{MISSING, Shade};
use crate::numbers::{count, counted, percent};

/// More than this is a table, not a picture.
const MAX_ROWS: usize = 40;
const MAX_COLUMNS: usize = 24;

/// What stands in a cell of a test that the field does not undergo.
const NOT_TESTED: &str = "·";

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeatCell {
    /// What is written in it.
    pub count: u64,
    /// Its colour, from 0 to 1.
    pub share: f64,
}

/// Rows × columns, each cell with its count and coloured by its share. `cells` go row by row; none is a test that a field does not
/// undergo, and stands as a dot: it is no 0. The picture is as tall as its rows need.
#[must_use]
pub fn heat_map(frame: Frame<'_>, shade: Shade, rows: &[&str], columns: &[&str], cells: &[Option<HeatCell>]) -> String {
    if rows.is_empty() || columns.is_empty() || cells.len() != rows.len().saturating_mul(columns.len()) {
        return frame.empty("nothing yet");
    }
    let left_out = (rows.len().saturating_sub(MAX_ROWS), columns.len().saturating_sub(MAX_COLUMNS));
    // The first row is drawn at the top, which is the end of an axis.
    let shown: Vec<(&str, &[Option<HeatCell>])> = rows
        .iter()
        .zip(cells.chunks(columns.len()))
        .take(MAX_ROWS)
        .map(|(row, cells)| (*row, &cells[..columns.len().min(MAX_COLUMNS)]))
        .rev()
        .collect();
    let columns = &columns[..columns.len().min(MAX_COLUMNS)];
    let shares: Vec<Vec<f64>> =
        shown.iter().map(|(_, cells)| cells.iter().map(|cell| cell.map_or(f64::NAN, share)).collect()).collect();
    let tips = shown.iter().flat_map(|(row, cells)| {
        columns.iter().zip(*cells).map(move |(column, cell)| match cell {
            Some(cell) => {
                format!("{}, {}: {} ({})", label(row), label(column), count(cell.count), percent(share(*cell)))
            }
            None => format!("{}, {}: not tested", label(row), label(column)),
        })
    });
    let plot = Heatmap::new()
        .with_data(shares.clone())
        .with_color_map(colors(&shares, shade))
        .with_cell_size(0.96)
        .with_tooltip_labels(tips);
    let labels = columns.iter().map(|column| label(column)).collect::<Vec<_>>();
    let longest = labels.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let tall = 26 * shown.len() + 5 * longest + 40;
    let size = (columns.len() as f64 + 0.5, shown.len() as f64 + 0.5);
    let frame = frame.tall(tall as u32);
    let mut layout = frame
        .layout((0.5, size.0), (0.5, size.1))
        .with_x_categories(labels)
        .with_y_categories(shown.iter().map(|(row, _)| label(row)).collect())
        .with_x_tick_rotate(-40.0)
        // Turned labels stand beside each other, whatever their length.
        .with_x_label_overlap(AxisLabelOverlap::Allow);
    for (y, (_, cells)) in shown.iter().enumerate() {
        for (x, cell) in cells.iter().enumerate() {
            let text = cell.map_or_else(|| NOT_TESTED.to_owned(), |cell| brief(cell.count));
            // kuva writes six units above the place, and a row has about 26.
            let y = y as f64 + 1.0 - 0.37;
            layout = layout.with_annotation(TextAnnotation::new(text, x as f64 + 1.0, y).with_font_size(11));
        }
    }
    let about = about(&shown, columns, left_out);
    frame.draw(vec![Plot::Heatmap(plot)], layout, &about)
}

fn share(cell: HeatCell) -> f64 {
    if cell.share.is_finite() { cell.share.clamp(0.0, 1.0) } else { 0.0 }
}

/// kuva hands its colour map the place between the least and the greatest share: back to the share itself.
fn colors(shares: &[Vec<f64>], shade: Shade) -> ColorMap {
    let present = || shares.iter().flatten().copied().filter(|share| share.is_finite());
    let (low, high) = (present().fold(f64::INFINITY, f64::min), present().fold(0.0, f64::max));
    ColorMap::Custom(Arc::new(move |place: f64| {
        let word =
            if place.is_finite() { shade.word(low + place * (high - low + f64::EPSILON) - 1e-9) } else { MISSING };
        word.into()
    }))
}

/// A count that fits into a cell.
fn brief(value: u64) -> String {
    match value {
        0..10_000 => value.to_string(),
        10_000..1_000_000 => format!("{}k", value / 1_000),
        1_000_000..1_000_000_000 => format!("{}M", value / 1_000_000),
        _ => format!("{}G", value / 1_000_000_000),
    }
}

fn about(shown: &[(&str, &[Option<HeatCell>])], columns: &[&str], left_out: (usize, usize)) -> String {
    let mut worst: Vec<(HeatCell, &str, &str)> = shown
        .iter()
        .flat_map(|(row, cells)| {
            columns.iter().zip(*cells).filter_map(|(column, cell)| Some(((*cell)?, *row, *column)))
        })
        .filter(|(cell, ..)| cell.count > 0)
        .collect();
    worst.sort_by(|a, b| share(b.0).total_cmp(&share(a.0)).then(b.0.count.cmp(&a.0.count)));
    let mut text = format!("{}, {}. ", counted(shown.len() as u64, "row"), counted(columns.len() as u64, "column"));
    if worst.is_empty() {
        text += "No cell is more than 0. ";
    } else {
        let named = worst.iter().take(5).map(|(cell, row, column)| {
            format!("{} {}: {} ({})", label(row), label(column), count(cell.count), percent(share(*cell)))
        });
        text += &format!("Highest: {}. ", named.collect::<Vec<_>>().join("; "));
    }
    let untested = shown.iter().flat_map(|(_, cells)| *cells).filter(|cell| cell.is_none()).count() as u64;
    if untested > 0 {
        text += &format!("{} not tested. ", counted(untested, "cell"));
    }
    for (many, what) in [(left_out.0, "more row"), (left_out.1, "more column")] {
        if many > 0 {
            text += &format!("Not drawn: {}. ", counted(many as u64, what));
        }
    }
    text.trim_end().into()
}
