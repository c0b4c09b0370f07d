//! What all pictures share: their size, their theme, their words.

use std::sync::Arc;

use aqpipe_engine::printable;
use kuva::TickFormat;
use kuva::plot::legend::{LegendEntry, LegendPosition, LegendShape};
use kuva::render::layout::{AxisLabelOverlap, ComputedLayout, Layout};
use kuva::render::plots::Plot;
use kuva::render::render::{Primitive, Scene, TextAnchor, render_multiple};
use kuva::render::theme::Theme;

use super::{ink, svg};
use crate::names::shortened;
use crate::numbers::number;

/// The longest label of an axis or legend; a text of any length may name a field.
const LABEL_MAX_CHARS: usize = 22;

/// The greatest number that is drawn. Beyond it, steps of an axis and labels lose their meaning.
const DRAWN_MAX: f64 = 1e15;

/// The title of a picture and the room it has.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    title: &'a str,
    width: f64,
    height: f64,
    text: u32,
}

impl<'a> Frame<'a> {
    /// A picture that stays legible on a phone, and shares a row with another one on a desktop.
    #[must_use]
    pub fn half(title: &'a str) -> Self {
        Self { title, width: 500.0, height: 240.0, text: 13 }
    }

    /// A picture as wide as a page of a report.
    #[must_use]
    pub fn full(title: &'a str) -> Self {
        Self { title, width: 960.0, height: 280.0, text: 12 }
    }

    /// The same picture with another height, at least 80.
    #[must_use]
    pub fn tall(self, height: u32) -> Self {
        Self { height: f64::from(height.max(80)), ..self }
    }

    pub(super) fn width(self) -> f64 {
        self.width
    }

    /// A layout over these ranges, without labels.
    pub(super) fn layout(self, x: (f64, f64), y: (f64, f64)) -> Layout {
        Layout::new(x, y)
            .with_width(self.width)
            .with_height(self.height)
            .with_theme(theme())
            .with_tick_size(self.text)
            .with_label_size(self.text)
            .with_body_size(self.text)
            .with_tick_length(4.0)
            .with_ticks(5)
            // kuva keeps a line's height between the labels of the ticks and that of the axis.
            .with_x_label_offset(0.0, -7.0)
            .with_x_label_overlap(AxisLabelOverlap::Thin)
            .with_y_tick_format(TickFormat::Custom(Arc::new(number)))
    }

    /// Draws the plots; `about` says in words and numbers what can be seen. Names in it went through [`label`].
    pub(super) fn draw(self, plots: Vec<Plot>, layout: Layout, about: &str) -> String {
        self.draw_over(plots, layout, about, |_| Vec::new())
    }

    /// Draws the plots, and over them what `over` makes of the places on their axes.
    pub(super) fn draw_over(
        self,
        plots: Vec<Plot>,
        layout: Layout,
        about: &str,
        over: impl FnOnce(&ComputedLayout) -> Vec<Primitive>,
    ) -> String {
        let layout = fitted(layout);
        let drawn = over(&ComputedLayout::from_layout(&layout));
        let mut scene = render_multiple(plots, layout);
        drawn.into_iter().for_each(|one| scene.add(one));
        self.write(&scene, about)
    }

    /// Writes a scene that needs no layout.
    pub(super) fn write(self, scene: &Scene, about: &str) -> String {
        svg::write(scene, &printable::line(self.title), about)
    }

    /// A picture of nothing, which says so.
    pub(super) fn empty(self, reason: &str) -> String {
        let mut scene = Scene::new(self.width, 60.0);
        scene.add(Primitive::Text {
            x: self.width / 2.0,
            y: 34.0,
            content: reason.into(),
            size: 13,
            anchor: TextAnchor::Middle,
            rotate: None,
            bold: false,
            color: None,
        });
        self.write(&scene, reason)
    }
}

/// Takes back the room that kuva keeps for labels that are not there.
fn fitted(layout: Layout) -> Layout {
    let computed = ComputedLayout::from_layout(&layout);
    let spare = if layout.y_label.is_none() { f64::from(layout.label_size) } else { 0.0 };
    let (left, right) = (computed.margin_left - spare, computed.margin_right);
    let unlabelled = layout.x_label.is_none() && layout.x_tick_rotate.is_none();
    let bottom = if unlabelled { f64::from(layout.label_size) + 6.0 } else { 0.0 };
    let (top, bottom) = (computed.margin_top, computed.margin_bottom - bottom);
    layout.with_force_margins(left, right).with_force_margins_y(top, bottom)
}

fn theme() -> Theme {
    let word = |word: &str| word.to_string();
    Theme {
        background: "none".into(),
        axis_color: word(ink::AXIS),
        grid_color: word(ink::GRID),
        tick_color: word(ink::AXIS),
        text_color: word(ink::AXIS),
        legend_bg: "none".into(),
        legend_border: "none".into(),
        colorbar_border: word(ink::AXIS),
        ..Theme::light()
    }
}

/// Adds a legend below the axes.
pub(super) fn with_legend(layout: Layout, entries: Vec<LegendEntry>) -> Layout {
    if entries.is_empty() {
        return layout;
    }
    let mut layout = layout.with_legend_entries(entries).with_legend_position(LegendPosition::OutsideBottomColumns);
    layout.show_legend = true;
    layout.legend_box = false;
    layout
}

/// One entry of a legend.
pub(super) fn entry(label_of: &str, color: &str, shape: LegendShape) -> LegendEntry {
    LegendEntry { label: label(label_of), color: color.into(), shape, dasharray: None }
}

/// A label from outside on one line, shortened in its middle.
pub(super) fn label(text: &str) -> String {
    shortened(printable::line(text), LABEL_MAX_CHARS).into_owned()
}

/// Whether a number has a place on an axis.
pub(super) fn drawn(value: f64) -> bool {
    value.is_finite() && value.abs() <= DRAWN_MAX
}

/// The least and the greatest of the numbers that can be drawn.
pub(super) fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| drawn(*value)).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((f64::min(low, value), f64::max(high, value))),
    })
}

/// The range with some room, so that a flat line is not an axis of no height.
pub(super) fn roomy((low, high): (f64, f64)) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    if high - low > size * 1e-6 && high - low > 1e-9 {
        let room = (high - low) * 0.04;
        // An axis of values that are never negative does not go below zero.
        return (if low >= 0.0 { (low - room).max(0.0) } else { low - room }, high + room);
    }
    let room = if size > 1e-9 { size * 0.05 } else { 1.0 };
    (low - room, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_shortened_in_its_middle() {
        assert_eq!(label("NO2(GT)"), "NO2(GT)");
        assert_eq!(label(&"long".repeat(40)).chars().count(), LABEL_MAX_CHARS);
        assert_eq!(label("a\nb"), "a\\nb");
    }
}
