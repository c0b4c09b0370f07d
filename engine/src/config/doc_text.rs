//! Excerpts of documentation.

/// The first sentence of a documentation, on one line and without its full stop.
#[must_use]
pub fn first_sentence(docs: &str) -> String {
    let paragraph = docs.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    line.split_once(". ").map_or(line.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}
