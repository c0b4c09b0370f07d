//! The text of a source as snippets show it: secrets are masked, invisible characters escaped.

use std::ops::Range;

use super::secret::{self, MASK};
use crate::printable;

/// A masked text with the way from places of the original to places in it.
pub(super) struct MaskedText {
    pub(super) text: String,
    /// Pairs of places, in the original and here, wherever their distance changes.
    moves: Vec<(usize, usize)>,
}

impl MaskedText {
    /// Masks `secrets`, which parsing found, and those that [`secret::scan`] finds in comments and broken lines.
    pub(super) fn of(text: &str, is_override: bool, secrets: &[Range<usize>]) -> MaskedText {
        let mut hidden = secret::scan(text, is_override);
        hidden.extend(secrets.iter().cloned());
        hidden.sort_by_key(|range| (range.start, range.end));
        let mut shown = MaskedText { text: String::with_capacity(text.len()), moves: Vec::new() };
        let mut at = 0;
        for range in hidden {
            if range.end <= at {
                continue;
            }
            let start = range.start.max(at);
            shown.copy(text, at..start);
            // Secrets that touch or overlap get one mask.
            if start > at || at == 0 || !shown.text.ends_with(MASK) {
                shown.moves.push((start, shown.text.len()));
                shown.text.push_str(MASK);
            }
            shown.moves.push((range.end, shown.text.len()));
            at = range.end;
        }
        shown.copy(text, at..text.len());
        shown
    }

    fn copy(&mut self, text: &str, range: Range<usize>) {
        let mut rest = text[range.clone()].char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            match c {
                '\n' | '\t' => self.text.push(c),
                // A part of a Windows line end, which snippets do not show.
                '\r' if rest.peek().is_some_and(|(_, next)| *next == '\n') => {}
                c => self.text.push_str(&printable::line(c.encode_utf8(&mut [0; 4]))),
            }
            let (from, to) = self.moves.last().copied().unwrap_or_default();
            let end = range.start + at + c.len_utf8();
            if self.text.len() - to != end - from {
                self.moves.push((end, self.text.len()));
            }
        }
    }

    /// The place of a range of the original.
    pub(super) fn range(&self, range: Range<usize>) -> Range<usize> {
        let start = self.place(range.start);
        start..self.place(range.end).max(start)
    }

    fn place(&self, at: usize) -> usize {
        let next = self.moves.partition_point(|(from, _)| *from <= at);
        let (from, to) = next.checked_sub(1).and_then(|last| self.moves.get(last)).copied().unwrap_or_default();
        let limit = self.moves.get(next).map_or(self.text.len(), |(_, to)| *to);
        let mut place = (to + (at - from)).min(limit);
        while !self.text.is_char_boundary(place) {
            place -= 1;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, secrets: &[Range<usize>]) -> MaskedText {
        MaskedText::of(text, false, secrets)
    }

    #[test]
    fn places_are_found_again_behind_what_was_written_out_or_masked() {
        let text = "a\u{1b}b\u{202e}c\r\nd = \"hunter2\" # µ";
        let secret = text.find("hunter2").map(|at| at..at + 7).expect("there");
        let shown = shown(text, &[secret]);
        assert_eq!(shown.text, "a\\u{1b}b\\u{202e}c\nd = \"***\" # µ");
        for part in ["a", "b", "c", "d", "\"", "#", "µ"] {
            let at = text.find(part).expect("there");
            let range = shown.range(at..at + part.len());
            assert_eq!(&shown.text[range], part);
        }
        let (start, end) = (text.find('"').expect("there"), text.rfind('"').expect("there") + 1);
        assert_eq!(&shown.text[shown.range(start..end)], "\"***\"");
        assert_eq!(shown.range(text.len()..text.len()), shown.text.len()..shown.text.len());
    }

    #[test]
    fn secrets_that_overlap_are_masked_once_and_as_a_whole() {
        let shown = shown("x = hunter2hunter3", &[4..11, 8..18, 8..9]);
        assert_eq!(shown.text, "x = ***");
    }
}
