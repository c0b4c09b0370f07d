//! The checks of stages along the way of the records: what each yields is what the next is checked against.

use super::diagnostics::Diagnostic;
use super::document::Document;
use super::pipeline::StageOf;
use crate::record::Fields;
use crate::stage::{DeadLetters, Problem, SinkConfig, SourceConfig, TransformConfig};

/// The stages of a pipeline; `None` for one whose configuration could not be read.
pub(super) struct Stages<'a> {
    pub(super) source: Option<&'a StageOf<dyn SourceConfig>>,
    pub(super) transforms: &'a [Option<&'a StageOf<dyn TransformConfig>>],
    pub(super) sink: Option<&'a StageOf<dyn SinkConfig>>,
    pub(super) dead_letter: Option<&'a StageOf<dyn SinkConfig<DeadLetters>>>,
}

/// The fields that reach the sink, and what is wrong on the way. `real` are the fields that the source turned out to
/// have.
pub(super) fn check(document: &Document, stages: &Stages<'_>, real: Option<&Fields>) -> (Fields, Vec<Diagnostic>) {
    let mut walk = Walk { document, problems: Vec::new() };
    let open = Fields { open: true, ..Fields::default() };
    let declared = stages.source.and_then(|source| walk.outcome(source, source.config.check()));
    let mut fields = real.cloned().or(declared).unwrap_or(open);
    for transform in stages.transforms {
        let after = transform.and_then(|transform| walk.outcome(transform, transform.config.check(&fields)));
        // One mistake is said once: behind a stage that could not be checked any field may be there.
        fields = after.unwrap_or(Fields { open: true, ..fields });
        let survey =
            transform.and_then(|transform| transform.config.requires_bounded().map(|problem| (transform, problem)));
        if let (Some(source), Some((transform, problem))) = (stages.source, survey)
            && !source.config.boundedness().is_bounded()
        {
            walk.problems.push(document.problem(&transform.path, &problem));
        }
    }
    if let Some(sink) = stages.sink {
        walk.outcome(sink, sink.config.check(&fields));
    }
    if let Some(dead_letter) = stages.dead_letter {
        walk.outcome(dead_letter, dead_letter.config.check(&Fields::default()));
    }
    (fields, walk.problems)
}

struct Walk<'a> {
    document: &'a Document,
    problems: Vec<Diagnostic>,
}

impl Walk<'_> {
    fn outcome<S: ?Sized, T>(&mut self, stage: &StageOf<S>, outcome: Result<T, Vec<Problem>>) -> Option<T> {
        let problems = match outcome {
            Ok(outcome) => return Some(outcome),
            Err(problems) => problems,
        };
        let place = |problem: &Problem| self.document.problem(&stage.path, problem);
        self.problems.extend(problems.iter().map(place));
        None
    }
}
