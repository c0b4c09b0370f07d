//! The words for colours: `pictures.css` gives each its colour, on light and on dark.

pub(super) const AXIS: &str = "axis";
pub(super) const GRID: &str = "grid";
pub(super) const OBSERVED: &str = "observed";
pub(super) const SUSPECT: &str = "suspect";
pub(super) const FAIL: &str = "fail";
pub(super) const FILLED: &str = "filled";
pub(super) const UNREADABLE: &str = "unreadable";
pub(super) const LIMIT: &str = "limit";
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

/// The upper bounds of all colours but the last. One bad value in a thousand is of interest, and half of them is all that
/// one need to know.
const WORSE_UP_TO: [f64; 8] = [0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5];
/// Around the shares of data capture that agencies ask for: 75, 85 and 90 %.
const BETTER_UP_TO: [f64; 8] = [0.0, 0.25, 0.5, 0.75, 0.85, 0.9, 0.95, 0.99];

impl Shade {
    /// The word for a share in 0..=1. A small share is never shown as nothing.
    pub(super) fn word(self, share: f64) -> &'static str {
        let (words, bounds) = match self {
            Shade::Worse => (&WORSE, WORSE_UP_TO),
            Shade::Better => (&BETTER, BETTER_UP_TO),
        };
        if !share.is_finite() {
            return MISSING;
        }
        words[bounds.partition_point(|bound| *bound < share)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_a_little_are_apart() {
        assert_eq!(Shade::Worse.word(0.0), "worse0");
        assert_eq!(Shade::Worse.word(1e-9), "worse1");
        assert_eq!(Shade::Worse.word(1.0), "worse8");
        assert_eq!((Shade::Better.word(0.75), Shade::Better.word(0.76)), ("better3", "better4"));
        assert_eq!(Shade::Better.word(7.0), "better8");
        assert_eq!(Shade::Better.word(f64::NAN), MISSING);
    }
}
