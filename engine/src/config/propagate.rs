//! Checks stages in the order of the data: each against the fields that the one before it yields.

use super::diagnostics::Diagnostic;
use super::document::Document;
use super::stage_spec::{StageRefs, StageSpec};
use crate::record::Fields;
use crate::stage::Problem;

/// The fields that reach the sink, and the diagnostics on the way. `actual` are the fields of the opened source, in place of
/// those that its configuration declares.
pub(super) fn propagate_fields(
    document: &Document,
    stages: &StageRefs<'_>,
    actual: Option<&Fields>,
) -> (Fields, Vec<Diagnostic>) {
    let mut propagation = Propagation { document, problems: Vec::new() };
    let open = Fields { open: true, ..Fields::default() };
    let declared = stages.source.and_then(|source| propagation.outcome(source, source.config.check()));
    if let (Some(source), Some(_), None) = (stages.source, &declared, actual) {
        let warnings = source.config.warnings();
        propagation.problems.extend(warnings.iter().map(|warning| document.problem(&source.path, warning)));
    }
    let mut fields = actual.cloned().or(declared).unwrap_or(open);
    for transform in &stages.transforms {
        let after = transform.and_then(|transform| propagation.outcome(transform, transform.config.check(&fields)));
        // One mistake makes one diagnostic: behind a stage that could not be checked, any field may exist.
        fields = after.unwrap_or(Fields { open: true, ..fields });
        let unbounded =
            transform.and_then(|transform| transform.config.requires_bounded().map(|problem| (transform, problem)));
        if let (Some(source), Some((transform, problem))) = (stages.source, unbounded)
            && !source.config.boundedness().is_read_whole()
        {
            propagation.problems.push(document.problem(&transform.path, &problem));
        }
    }
    if let Some(sink) = stages.sink {
        propagation.outcome(sink, sink.config.check(&fields));
    }
    if let Some(dead_letter) = stages.dead_letter {
        propagation.outcome(dead_letter, dead_letter.config.check(&Fields::default()));
    }
    (fields, propagation.problems)
}

struct Propagation<'a> {
    document: &'a Document,
    problems: Vec<Diagnostic>,
}

impl Propagation<'_> {
    fn outcome<S: ?Sized, T>(&mut self, stage: &StageSpec<S>, outcome: Result<T, Vec<Problem>>) -> Option<T> {
        let problems = match outcome {
            Ok(outcome) => return Some(outcome),
            Err(problems) => problems,
        };
        let place = |problem: &Problem| self.document.problem(&stage.path, problem);
        self.problems.extend(problems.iter().map(place));
        None
    }
}
