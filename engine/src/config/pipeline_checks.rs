//! Checks of a pipeline that concern several of its stages.

use std::path::{Component, Path, PathBuf};

use super::diagnostics::Diagnostic;
use super::document::Document;
use super::stage_spec::StageRefs;
use crate::stage::{Boundedness, Delivery, Role};

/// The guarantee for readers of the output, and an error where more was asked for.
pub(super) fn delivery(
    document: &Document,
    stages: &StageRefs<'_>,
    asked: Option<Delivery>,
    problems: &mut Vec<Diagnostic>,
) -> Delivery {
    let guarantees = [
        stages.source.map(|stage| (stage.title(), stage.config.delivery().min(best_of(stage.config.boundedness())))),
        stages.sink.map(|stage| (stage.title(), stage.config.delivery())),
        stages.dead_letter.map(|stage| (stage.title(), stage.config.delivery())),
    ];
    let weakest = guarantees.into_iter().flatten().min_by_key(|(_, delivery)| *delivery);
    let Some((title, best)) = weakest else { return Delivery::AtLeastOnce };
    match asked {
        Some(asked) if asked <= best => asked,
        Some(asked) => {
            let found = document.root.find(&["delivery"]);
            problems.push(
                Diagnostic::error(format!("this pipeline cannot deliver `{asked}`"))
                    .at_place(found.node.span)
                    .label(format!("the {title} can do no more than `{best}`"))
                    .help("leave `delivery` out to get the best that is possible"),
            );
            best
        }
        None => best,
    }
}

/// The best delivery of an input: a live one cannot be read again after a crash.
fn best_of(boundedness: Boundedness) -> Delivery {
    match boundedness {
        Boundedness::Live => Delivery::AtLeastOnce,
        Boundedness::Bounded { .. } | Boundedness::Unbounded | Boundedness::Shared => Delivery::ExactlyOnce,
    }
}

/// An error where the sink and the dead letters write to the same place: their readers could not tell them apart.
pub(super) fn same_destination(document: &Document, stages: &StageRefs<'_>, pipeline: &str) -> Option<Diagnostic> {
    let (sink, dead) = stages.sink.zip(stages.dead_letter)?;
    let plain = |(dir, prefix): (String, String)| (plain_path(&dir), prefix);
    let files = sink.config.files(pipeline).map(plain);
    let writes = sink.config.writes();
    let (what, help) = if files.is_some() && files == dead.config.files(pipeline).map(plain) {
        ("files of one directory and one prefix", "give the `[dead_letter]` another `dir` or `prefix`")
    } else if dead.config.writes().iter().any(|place| writes.contains(place)) {
        ("one topic", "give the `[dead_letter]` another `topic`")
    } else {
        return None;
    };
    Some(
        Diagnostic::error(format!("the {} and the `[dead_letter]` write {what}", sink.title()))
            .at_place(document.root.find(&dead.path).node.span)
            .help(help),
    )
}

/// A path without `.` and `..`. Links are not followed: checks do no I/O.
fn plain_path(path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// Warnings for transforms that may reject records while there is no `[dead_letter]`.
pub(super) fn rejects_without_dead_letter(document: &Document, stages: &StageRefs<'_>) -> Vec<Diagnostic> {
    if document.root.table().is_none_or(|table| table.get(Role::DeadLetter.key()).is_some()) {
        return Vec::new();
    }
    let has_changing_clock = stages.source.is_some_and(|source| source.config.changing_clock().is_some());
    let rejecting =
        stages.transforms.iter().flatten().filter(|transform| transform.config.may_reject(has_changing_clock));
    let warning = rejecting.map(|transform| {
        Diagnostic::warning(format!("{} may reject records, and there is no `[dead_letter]`", transform.title()))
            .at_place(document.root.find(&transform.path).node.span)
            .help("the first record that it rejects stops the pipeline: add a `[dead_letter]` to keep such records")
    });
    warning.collect()
}
