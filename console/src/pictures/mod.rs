//! Pictures, drawn once as SVG for the page and the report.
//!
//! | Picture | Function |
//! | --- | --- |
//! | readings of a field over time, gaps open, flags, fills and limits marked | [`series`] |
//! | rates, scores and shares over time | [`trend`] |
//! | a distribution | [`histogram`] |
//! | fields × tests | [`heat_map`] |
//! | days by a share | [`calendar`] |
//! | a usual day, week or year | [`profile`] |
//! | what share of the readings is there when, by station or field | [`availability`] |
//! | fills of fields by method | [`stacked_bars`] |
//! | a line on a terminal | [`terminal_line`] |
//!
//! Each takes a [`Frame`] (title and size) and plain slices. It returns an element `<svg class="pic" role="img">` that is as
//! wide as its container, with a title, a description in words and numbers, and escaped labels. Input of any
//! size is reduced: no series has more than 2,000 points. Input without anything to draw gives a small picture that
//! says so. Times are milliseconds since 1970 and shown in UTC; numbers that are not finite are left out.
//!
//! Colours are classes. A page includes [`STYLE`], which follows light and dark, and may set its custom properties
//! (`--pic-observed`, `--pic-fail` …) to others. A picture of [`Frame::full`] wants a container that scrolls on a phone. Nothing in a picture needs more than `style-src 'self'`.

mod availability;
mod calendar;
mod coordinates;
mod frame;
mod heat_map;
mod histogram;
mod ink;
mod limits;
mod look;
mod profile;
mod reduce;
mod series;
mod stacked_bars;
mod style;
mod svg;
mod terminal;
mod time_axis;
mod trend;

pub use availability::{Held, Row, Span, availability};
pub use calendar::calendar;
pub use frame::Frame;
pub use heat_map::{HeatCell, heat_map};
pub use histogram::histogram;
pub use ink::Shade;
pub use limits::Limit;
pub use profile::{Step, profile};
pub use series::{Mark, Reading, series};
pub use stacked_bars::{Bar, stacked_bars};
pub use style::STYLE;
pub use terminal::terminal_line;
pub use trend::{Line, Scale, trend};

#[cfg(test)]
mod tests;
