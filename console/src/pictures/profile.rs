//! How a day, a week or a year usually goes.

use kuva::plot::legend::LegendShape;
use kuva::plot::{BandPlot, LinePlot, ScatterPlot};
use kuva::render::plots::Plot;

use super::frame::{Frame, drawn, entry, label, range, roomy, with_legend};
use super::ink;
use crate::numbers::number;

/// The hours of a week.
const MAX_STEPS: usize = 168;

/// One hour, day or month of a profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name: `13`, `Mon`, `Jan`.
    pub name: String,
    /// The median with a lower and an upper quantile; none without data.
    pub middle_low_high: Option<(f64, f64, f64)>,
}

/// A band between two quantiles with the median in it, open where a step has no data. `band` names the quantiles:
/// `5 % to 95 %`. `unit` stands at the y axis. Steps beyond 168 are left out.
#[must_use]
pub fn profile(frame: Frame<'_>, unit: Option<&str>, band: &str, steps: &[Step]) -> String {
    let steps = &steps[..steps.len().min(MAX_STEPS)];
    let numbers = |step: &Step| step.middle_low_high.filter(|(m, l, h)| drawn(*m) && drawn(*l) && drawn(*h));
    let points: Vec<Option<(f64, f64, f64, f64)>> = steps
        .iter()
        .enumerate()
        .map(|(at, step)| {
            numbers(step).map(|(middle, low, high)| (at as f64 + 1.0, middle, low.min(middle), high.max(middle)))
        })
        .collect();
    let present = || points.iter().flatten();
    let Some(scale) = range(present().flat_map(|(_, middle, low, high)| [*middle, *low, *high])) else {
        return frame.empty("no values yet");
    };
    let (mut bands, mut lines) = (Vec::new(), Vec::new());
    for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
        let run: Vec<_> = run.iter().flatten().collect();
        let column = |pick: fn(&(f64, f64, f64, f64)) -> f64| run.iter().map(|point| pick(point)).collect::<Vec<f64>>();
        let band = BandPlot::new(column(|p| p.0), column(|p| p.2), column(|p| p.3));
        bands.push(Plot::Band(band.with_color(ink::SERIES[0]).with_opacity(0.25)));
        lines.push(match run.as_slice() {
            [one] => {
                Plot::Scatter(ScatterPlot::new().with_data([(one.0, one.1)]).with_color(ink::SERIES[0]).with_size(2.0))
            }
            _ => Plot::Line(
                LinePlot::new()
                    .with_data(run.iter().map(|point| (point.0, point.1)))
                    .with_color(ink::SERIES[0])
                    .with_stroke_width(2.0),
            ),
        });
    }
    bands.extend(lines);
    let mut layout =
        frame.layout((0.5, steps.len() as f64 + 0.5), roomy(scale)).with_x_categories(names(steps, frame.width()));
    if let Some(unit) = unit {
        layout = layout.with_y_label(label(unit));
    }
    let legend =
        vec![entry("median", ink::SERIES[0], LegendShape::Line), entry(band, ink::SERIES[0], LegendShape::Rect)];
    frame.draw(bands, with_legend(layout, legend), &about(steps, &points, unit))
}

/// The names of the steps; with many of them every other one, or fewer, that of the first always.
fn names(steps: &[Step], width: f64) -> Vec<String> {
    let names: Vec<String> = steps.iter().map(|step| label(&step.name)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    // A character takes about eight units, and a tenth of the width is that of the y axis.
    let room = (width * 0.85 / (longest as f64 * 8.0 + 6.0)).max(1.0);
    let wanted = (steps.len() as f64 / room).ceil() as usize;
    let every = [1, 2, 3, 4, 6, 12, 24].into_iter().find(|every| *every >= wanted).unwrap_or(steps.len()).max(1);
    names.into_iter().enumerate().map(|(at, name)| if at % every == 0 { name } else { String::new() }).collect()
}

fn about(steps: &[Step], points: &[Option<(f64, f64, f64, f64)>], unit: Option<&str>) -> String {
    let unit = unit.map(|unit| format!(" {}", label(unit))).unwrap_or_default();
    let named = || steps.iter().zip(points).filter_map(|(step, point)| Some((&step.name, (*point)?)));
    let lowest = named().min_by(|a, b| a.1.1.total_cmp(&b.1.1));
    let highest = named().max_by(|a, b| a.1.1.total_cmp(&b.1.1));
    let mut text = String::new();
    if let (Some((low_name, low)), Some((high_name, high))) = (lowest, highest) {
        let (low_name, high_name) = (label(low_name), label(high_name));
        text += &format!("Median from {}{unit} ({low_name}) to {}{unit} ({high_name}).", number(low.1), number(high.1));
    }
    let without = points.iter().filter(|point| point.is_none()).count();
    if without > 0 {
        text += &format!(" {without} of {} without data.", points.len());
    }
    text
}
