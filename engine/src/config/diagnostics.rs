//! Diagnostics: errors and warnings of a pipeline, each with its place in the text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::masked::MaskedText;
use super::source_map::{SourceMap, Span};
use crate::printable;

/// Whether a diagnostic stops the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The pipeline cannot run.
    Error,
    /// The pipeline can run, but perhaps not as meant.
    Warning,
}

/// An error or a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the pipeline.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The place; `None` for the file as a whole.
    pub span: Option<Span>,
    /// The text under the place.
    pub label: Option<Box<str>>,
    /// Details.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message) }
    }

    /// The same at a place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Diagnostic {
        self.span = Some(span);
        self
    }

    /// The same at a place; the document itself has none.
    pub(super) fn at_place(self, span: Span) -> Diagnostic {
        if span.start == span.end { self } else { self.at(span) }
    }

    /// The same with a text under its place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into().into());
        self
    }

    /// The same with one more detail.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    /// The same with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// The same, safe for terminals: names and values come from outside.
    fn printable(&self) -> Diagnostic {
        let line = |text: &String| printable::line(text).into_owned();
        Diagnostic {
            severity: self.severity,
            message: line(&self.message),
            span: self.span,
            label: self.label.as_ref().map(|label| printable::line(label).into()),
            notes: self.notes.iter().map(line).collect(),
            help: self.help.as_ref().map(line),
        }
    }

    fn group<'a>(&'a self, sources: &'a RenderedSources<'a>) -> Group<'a> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level.primary_title(self.message.as_str()).elements(None::<Origin<'a>>);
        match self.span.and_then(|span| sources.locate(span)) {
            Some((text, path, range)) => {
                let annotation = AnnotationKind::Primary.span(range).label(self.label.as_deref());
                let snippet = Snippet::source(text).path(path).annotation(annotation);
                group = group.element(snippet.line_numbering(path.is_some()));
            }
            None => {
                group = group.elements(sources.file().map(Origin::path));
                group = group.elements(self.label.as_deref().map(|label| Level::NOTE.message(label)));
            }
        }
        let notes = self.notes.iter().map(|note| Level::NOTE.message(note.as_str()));
        group.elements(notes).elements(self.help.as_deref().map(|help| Level::HELP.message(help)))
    }
}

/// The texts of a source map as snippets show them, and the paths of the files among them.
struct RenderedSources<'a> {
    map: &'a SourceMap,
    texts: Vec<(MaskedText, Option<String>)>,
}

impl RenderedSources<'_> {
    fn of(map: &SourceMap) -> RenderedSources<'_> {
        let path = |index| map.path(index).map(|path| printable::line(path).into_owned());
        RenderedSources {
            map,
            texts: map.shown().into_iter().enumerate().map(|(at, shown)| (shown, path(at))).collect(),
        }
    }

    fn locate(&self, span: Span) -> Option<(&str, Option<&str>, Range<usize>)> {
        let (index, range) = self.map.find(span)?;
        let (shown, path) = self.texts.get(index)?;
        Some((&shown.text, path.as_deref(), shown.range(range)))
    }

    /// The path of the first text, where it is a file.
    fn file(&self) -> Option<&str> {
        self.texts.first().and_then(|(_, path)| path.as_deref())
    }
}

/// The diagnostics of one pipeline, in the order of its text.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    sources: Arc<SourceMap>,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Diagnostics of a source map, sorted by place and without duplicates.
    #[must_use]
    pub fn new(sources: Arc<SourceMap>, mut list: Vec<Diagnostic>) -> Diagnostics {
        list.sort_by_key(|diagnostic| diagnostic.span);
        list.dedup();
        Diagnostics { sources, list }
    }

    /// A single diagnostic without a place.
    #[must_use]
    pub fn of(diagnostic: Diagnostic) -> Diagnostics {
        Diagnostics::new(Arc::default(), vec![diagnostic])
    }

    /// The same, with others that have no place before them.
    pub(super) fn preceded_by(mut self, mut others: Diagnostics) -> Diagnostics {
        others.list.append(&mut self.list);
        Diagnostics { sources: self.sources, list: others.list }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// All diagnostics as text, each with its place and an empty line between two. Unless empty, the text ends with a line
    /// break.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let sources = RenderedSources::of(&self.sources);
        let one = |diagnostic: &Diagnostic| renderer.render(&[diagnostic.printable().group(&sources)]) + "\n";
        self.list.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}
