//! The words for colours: `pictures.css` gives each its colour, on light and on dark.

pub(super) const AXIS: &str = "axis";
pub(super) const GRID: &str = "grid";
pub(super) const OBSERVED: &str = "observed";
pub(super) const SUSPECT: &str = "suspect";
pub(super) const FAIL: &str = "fail";
pub(super) const FILLED: &str = "filled";
pub(super) const MISSING: &str = "missing";

/// Eight colours that stay apart for people who see few: after Okabe and Ito.
pub(super) const SERIES: [&str; 8] = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];

/// A share as one of nine colours; the first is that of nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    /// More is worse: shares of flags.
    Worse,
    /// More is better: shares of what is there.
    Better,
}

const WORSE: [&str; 9] = ["worse0", "worse1", "worse2", "worse3", "worse4", "worse5", "worse6", "worse7", "worse8"];
const BETTER: [&str; 9] =
    ["better0", "better1", "better2", "better3", "better4", "better5", "better6", "better7", "better8"];

impl Shade {
    /// The word for a share in 0..=1. A small share is never shown as nothing.
    pub(super) fn word(self, share: f64) -> &'static str {
        let words = match self {
            Shade::Worse => &WORSE,
            Shade::Better => &BETTER,
        };
        if !share.is_finite() {
            return MISSING;
        }
        words[(share.clamp(0.0, 1.0) * 8.0).ceil() as usize]
    }
}
