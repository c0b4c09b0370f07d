//! The syntax of an override: `[pipeline:]path.to.key=value`.

use std::ops::Range;

use super::node::Node;

/// An override and the places of its parts.
#[derive(Clone, Debug)]
pub(super) struct Override {
    /// The argument as typed.
    pub(super) text: String,
    /// The name of the pipeline that it changes and the place of that name; without one it changes all.
    pub(super) pipeline: Option<(String, Range<usize>)>,
    pub(super) path: Vec<PathSegment>,
    pub(super) value: Range<usize>,
}

/// A key or an index on the way to a value.
#[derive(Clone, Debug)]
pub(super) struct PathSegment {
    pub(super) key: String,
    pub(super) range: Range<usize>,
}

/// A message and its place in the text.
pub(super) type FormError = (String, Range<usize>);

/// Parses an override.
///
/// # Errors
/// A message and the place in the text.
pub(super) fn parse(text: &str) -> Result<Override, FormError> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let pipeline =
        text.split_once(':').map(|(name, _)| name).filter(|name| !name.is_empty() && name.chars().all(is_name));
    let mut at = pipeline.map_or(0, |name| name.len() + 1);
    let pipeline = pipeline.map(|name| (name.to_owned(), 0..name.len()));
    let mut path = Vec::new();
    loop {
        let segment = segment(text, at)?;
        at = segment.range.end;
        path.push(segment);
        match text[at..].chars().next() {
            Some('.') => at += 1,
            Some('=') => return Ok(Override { text: text.to_owned(), pipeline, path, value: at + 1..text.len() }),
            Some(c) => return Err((format!("`{c}` cannot stand in a key without quotes"), at..at + c.len_utf8())),
            None => return Err(("the override has no `=` and no value".to_owned(), 0..text.len())),
        }
    }
}

fn segment(text: &str, at: usize) -> Result<PathSegment, FormError> {
    let rest = &text[at..];
    let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let length = rest.find(|c| !bare(c)).unwrap_or(rest.len());
        if length == 0 {
            let width = rest.chars().next().map_or(0, char::len_utf8);
            return Err(("a key is missing here".to_owned(), at..at + width));
        }
        return Ok(PathSegment { key: rest[..length].to_owned(), range: at..at + length });
    };
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = quote == '"' && *c == '\\' && !escaped;
        ends
    });
    let Some((end, _)) = end else {
        return Err(("the quoted key does not end".to_owned(), at..text.len()));
    };
    let range = at..at + end + 1;
    let key = Node::parse(0, &text[range.clone()]);
    let Some(key) = key.as_ref().and_then(Node::text) else {
        return Err(("this is not a quoted key".to_owned(), range));
    };
    Ok(PathSegment { key: key.to_owned(), range })
}
