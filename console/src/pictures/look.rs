//! How a path is drawn: colours are classes.

use kuva::render::color::Color;

use super::ink;

/// How a path is drawn.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Look {
    pub(super) class: String,
    pub(super) width: Option<f64>,
    pub(super) dash: Option<String>,
    pub(super) opacity: Option<f64>,
}

pub(super) fn is_ink(color: &Color) -> bool {
    !matches!(color, Color::None)
}

pub(super) fn class(fill: Option<&Color>, stroke: Option<&Color>) -> String {
    let fill = fill.filter(|color| is_ink(color)).map(|color| format!("f-{}", word(color)));
    let stroke = stroke.filter(|color| is_ink(color)).map(|color| format!("s-{}", word(color)));
    match (fill, stroke) {
        (Some(fill), Some(stroke)) => format!("{fill} {stroke}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => String::new(),
    }
}

/// The colours that kuva chooses itself are those of separators.
fn word(color: &Color) -> &str {
    match color {
        Color::Css(word) => word,
        Color::Rgb(..) | Color::None => ink::GRID,
    }
}
