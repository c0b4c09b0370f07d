//! Limits as lines over a picture.

use kuva::render::color::Color;
use kuva::render::layout::ComputedLayout;
use kuva::render::render::{Primitive, TextAnchor};

use super::frame::{drawn, label};
use super::ink;

/// Limits of one field: more are a table.
const LIMITS_MAX: usize = 8;
/// A limit makes the picture higher by so much of what its values need at most: values are not to become a flat line.
const ROOM_SHARE: f64 = 0.35;
/// Texts that are closer stand beside each other.
const TEXT_UNITS: f64 = 14.0;

/// A value with a meaning of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The value.
    pub value: f64,
    /// What it means: `fail above 50`.
    pub name: String,
    /// Whether values beyond it fail; else they are suspect.
    pub fails: bool,
}

/// The limits that can be drawn, and whether they are on the scale.
pub(super) struct Limits<'a> {
    shown: Vec<&'a Limit>,
    beyond: Vec<&'a Limit>,
    /// The scale with room for those that are shown.
    pub(super) scale: (f64, f64),
}

impl<'a> Limits<'a> {
    /// Those that stand within the scale or close to it.
    pub(super) fn of(limits: &'a [Limit], scale: (f64, f64)) -> Limits<'a> {
        let room = (scale.1 - scale.0) * ROOM_SHARE;
        let limits = limits.iter().filter(|limit| drawn(limit.value)).take(LIMITS_MAX);
        let (mut shown, beyond): (Vec<&Limit>, Vec<&Limit>) =
            limits.partition(|limit| limit.value >= scale.0 - room && limit.value <= scale.1 + room);
        shown.sort_by(|a, b| b.value.total_cmp(&a.value));
        let mut scale = scale;
        for limit in &shown {
            // A line at the edge would lie on the axis.
            if limit.value <= scale.0 {
                scale.0 = limit.value - room * 0.05;
            }
            if limit.value >= scale.1 {
                scale.1 = limit.value + room * 0.25;
            }
        }
        Limits { shown, beyond, scale }
    }

    /// The lines and their texts.
    pub(super) fn draw(&self, places: &ComputedLayout) -> Vec<Primitive> {
        let (left, right) = (places.margin_left, places.width - places.margin_right);
        let y = |limit: &Limit| places.map_y(limit.value);
        let line = |limit: &&Limit| Primitive::Line {
            x1: left,
            y1: y(limit),
            x2: right,
            y2: y(limit),
            stroke: Color::from(ink::LIMIT),
            stroke_width: 1.2,
            stroke_dasharray: Some(if limit.fails { "8 3" } else { "2 3" }.to_owned()),
        };
        let mut all: Vec<Primitive> = self.shown.iter().map(line).collect();
        for close in self.shown.chunk_by(|a, b| (y(a) - y(b)).abs() < TEXT_UNITS) {
            // From the lowest on, as people count.
            let names: Vec<String> = close.iter().rev().map(|limit| label(&limit.name)).collect();
            let Some(top) = close.first() else { continue };
            all.push(Primitive::Text {
                x: right - 4.0,
                y: y(top) - 4.0,
                content: names.join(", "),
                size: places.tick_size,
                anchor: TextAnchor::End,
                rotate: None,
                bold: false,
                color: Some(Color::from(ink::LIMIT)),
            });
        }
        all
    }

    /// In words.
    pub(super) fn about(&self) -> String {
        let named = |title: &str, limits: &[&Limit]| match limits {
            [] => String::new(),
            _ => {
                format!(" {title}: {}.", limits.iter().map(|limit| label(&limit.name)).collect::<Vec<_>>().join(", "))
            }
        };
        named("Limits", &self.shown) + &named("Beyond the scale", &self.beyond)
    }
}
