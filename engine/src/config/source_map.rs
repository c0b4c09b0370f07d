//! Where configuration text came from: a file and the overrides of the command line, as one range of offsets.

use std::ops::Range;
use std::sync::Arc;

/// A stretch of a [`SourceMap`], in bytes, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// A range of a source that starts at `base`.
    pub(super) fn based(base: usize, range: Range<usize>) -> Span {
        Span { start: base + range.start, end: base + range.end }
    }
}

/// One text among those of a [`SourceMap`].
#[derive(Clone, Debug)]
pub struct Source {
    /// The path of a file; `None` for an override, whose text speaks for itself.
    pub path: Option<String>,
    /// The text.
    pub text: Arc<str>,
    start: usize,
}

/// Texts one after the other, so that one offset names a text and a place in it.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// Adds a text and returns the offset of its first byte.
    pub(super) fn add(&mut self, path: Option<&str>, text: &str) -> usize {
        // A gap of one byte, so that the end of one text is not the start of the next.
        let start = self.sources.last().map_or(0, |last| last.start + last.text.len() + 1);
        self.sources.push(Source { path: path.map(str::to_owned), text: text.into(), start });
        start
    }

    /// The text that a span lies in and its range there, cut to whole characters.
    #[must_use]
    pub fn locate(&self, span: Span) -> Option<(&Source, Range<usize>)> {
        let index = self.sources.partition_point(|source| source.start <= span.start).checked_sub(1)?;
        let source = self.sources.get(index)?;
        let start = floor(&source.text, span.start - source.start);
        let end = floor(&source.text, span.end.saturating_sub(source.start)).max(start);
        Some((source, start..end))
    }

    /// The text of a span.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.locate(span).map_or("", |(source, range)| &source.text[range])
    }

    /// The first text: the file.
    #[must_use]
    pub fn file(&self) -> Option<&Source> {
        self.sources.first().filter(|source| source.path.is_some())
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_found_in_the_text_it_lies_in() {
        let mut map = SourceMap::default();
        let file = map.add(Some("a.toml"), "name = \"ä\"");
        let over = map.add(None, "--set name=x");
        assert_eq!(map.text(Span::based(file, 0..4)), "name");
        assert_eq!(map.text(Span::based(over, 6..10)), "name");
        assert_eq!(map.text(Span::based(over, 6..1000)), "name=x", "an end beyond the text is its end");
        assert_eq!(map.text(Span::based(file, 8..9)), "", "half a character is none");
        assert!(map.locate(Span { start: 11, end: 11 }).is_some_and(|(source, _)| source.path.is_some()));
    }
}
