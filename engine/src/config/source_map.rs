//! The texts of a configuration (a file and the overrides of the command line) in one range of byte offsets.

use std::ops::Range;
use std::sync::Arc;

use super::masked::MaskedText;
use super::secret;

/// A range of a [`SourceMap`], in bytes, half open.
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
pub struct SourceText {
    /// The path of a file; `None` for an override.
    pub path: Option<String>,
    /// The text.
    pub text: Arc<str>,
    start: usize,
}

/// Texts one after the other, so that one offset stands for a text and a place in it.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<SourceText>,
    /// The secrets in them.
    secrets: Vec<Span>,
}

impl SourceMap {
    /// Adds a text; returns the offset of its first byte.
    pub(super) fn add(&mut self, path: Option<&str>, text: &str) -> usize {
        // A gap of one byte keeps the end of one text apart from the start of the next.
        let start = self.sources.last().map_or(0, |last| last.start + last.text.len() + 1);
        self.sources.push(SourceText { path: path.map(str::to_owned), text: text.into(), start });
        start
    }

    /// The text of a span and the range in it, cut to whole characters.
    #[must_use]
    pub fn locate(&self, span: Span) -> Option<(&SourceText, Range<usize>)> {
        let (index, range) = self.find(span)?;
        Some((self.sources.get(index)?, range))
    }

    /// The number of the text of a span and the range in it, cut to whole characters.
    pub(super) fn find(&self, span: Span) -> Option<(usize, Range<usize>)> {
        let index = self.sources.partition_point(|source| source.start <= span.start).checked_sub(1)?;
        let source = self.sources.get(index)?;
        let start = floor(&source.text, span.start - source.start);
        let end = floor(&source.text, span.end.saturating_sub(source.start)).max(start);
        Some((index, start..end))
    }

    /// Masks the values at these places wherever the texts are shown.
    pub(super) fn hide(&mut self, values: impl IntoIterator<Item = Span>) {
        for span in values {
            let found = secret::within(self.text(span));
            self.secrets.extend(found.into_iter().map(|range| Span::based(span.start, range)));
        }
    }

    /// All texts as snippets show them.
    pub(super) fn shown(&self) -> Vec<MaskedText> {
        let of = |(index, source): (usize, &SourceText)| {
            let within = self.secrets.iter().filter_map(|span| self.find(*span));
            let secrets: Vec<_> = within.filter(|(of, _)| *of == index).map(|(_, range)| range).collect();
            MaskedText::of(&source.text, source.path.is_none(), &secrets)
        };
        self.sources.iter().enumerate().map(of).collect()
    }

    /// The text of a span.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.locate(span).map_or("", |(source, range)| &source.text[range])
    }

    /// The path of a text, where it is a file.
    pub(super) fn path(&self, index: usize) -> Option<&str> {
        self.sources.get(index)?.path.as_deref()
    }

    /// The first text: the file.
    #[must_use]
    pub fn file(&self) -> Option<&SourceText> {
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
