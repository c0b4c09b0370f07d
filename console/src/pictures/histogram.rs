//! How often which values occur.

use kuva::plot::Histogram;
use kuva::render::plots::Plot;

use super::frame::{Frame, drawn, label};
use super::ink;
use crate::numbers::{count, counted, number, percent};

/// Bars are still told apart on half a page.
const MAX_BARS: usize = 100;

/// A distribution: `counts[i]` values lie from `edges[i]` to `edges[i + 1]`. Edges ascend and are one more than the
/// counts; other input is drawn as an empty picture. `unit` stands below the x axis.
#[must_use]
pub fn histogram(frame: Frame<'_>, unit: Option<&str>, edges: &[f64], counts: &[u64]) -> String {
    let whole = edges.len() == counts.len() + 1
        && edges.iter().all(|edge| drawn(*edge))
        && edges.windows(2).all(|pair| pair[0] < pair[1]);
    let total = counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
    if !whole || total == 0 {
        return frame.empty("no values yet");
    }
    let (edges, counts) = wider(edges, counts);
    let most = counts.iter().copied().max().unwrap_or(0);
    let (low, high) = (edges[0], edges[edges.len() - 1]);
    let plot = Histogram::from_bins(edges.clone(), counts.iter().map(|count| *count as f64).collect())
        .with_color(ink::OBSERVED);
    let mut layout = frame
        .layout((low, high), (0.0, most as f64 * 1.05))
        .with_x_axis_min(low)
        .with_x_axis_max(high)
        .with_y_axis_min(0.0)
        .with_y_label("count");
    if let Some(unit) = unit {
        layout = layout.with_x_label(label(unit));
    }
    let unit = unit.map(|unit| format!(" {}", label(unit))).unwrap_or_default();
    let mut about = format!("{} from {} to {}{unit}. ", counted(total, "value"), number(low), number(high));
    if let Some(at) = counts.iter().position(|count| *count == most) {
        let share = percent(most as f64 / total as f64);
        about += &format!(
            "Most of them from {} to {}: {} ({share}).",
            number(edges[at]),
            number(edges[at + 1]),
            count(most)
        );
    }
    frame.draw(vec![Plot::Histogram(plot)], layout, &about)
}

/// Joins neighbours until there are few enough bars.
fn wider(edges: &[f64], counts: &[u64]) -> (Vec<f64>, Vec<u64>) {
    let joined = counts.len().div_ceil(MAX_BARS).max(1);
    let sums: Vec<u64> =
        counts.chunks(joined).map(|chunk| chunk.iter().fold(0u64, |sum, count| sum.saturating_add(*count))).collect();
    let edges = (0..=sums.len()).map(|at| edges[(at * joined).min(counts.len())]).collect();
    (edges, sums)
}
