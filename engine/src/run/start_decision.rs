//! How a run begins: anew, where the last one stopped, or not at all because there is nothing to do.

use std::path::Path;

use super::commit::LastRun;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::plural::{clause, counted};
use crate::stage::{Destination, Repeat, Rerun, Source};

/// How a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the beginning of the input.
    Restart,
    /// Where the last run stopped.
    Resume,
    /// The last run carried everything.
    Nothing,
}

/// What is asked of a run, to be compared with the last one.
pub(super) struct StartRequest<'a> {
    pub(super) pipeline: &'a Pipeline,
    /// Whether a completed run is to be repeated in any case (`--rerun`).
    pub(super) rerun: bool,
    /// What is read, however it is spelt.
    pub(super) input: String,
    pub(super) destination: Option<Destination>,
    /// The consumer group, where the source has one.
    pub(super) group: String,
    /// Whether nothing is left of earlier output.
    pub(super) output_is_gone: bool,
}

impl StartRequest<'_> {
    /// How the run begins after that last one.
    ///
    /// # Errors
    /// Where it can do neither: its output goes elsewhere now, its stages are others, it would overwrite files.
    pub(super) fn decide(&self, last: Option<&LastRun>, source: &dyn Source) -> Result<Start> {
        let Some(last) = last else { return Ok(Start::Restart) };
        self.goes_to_the_same_place(last)?;
        if self.reads_as_another_group(last)? {
            return Ok(Start::Restart);
        }
        match self.pipeline.source.config.boundedness().rerun() {
            Some(Repeat::New) if last.completed && !self.rerun => self.carry_what_is_new(last, source),
            Some(repeat) if last.completed => self.after_a_completed_run(last, repeat, source),
            _ => self.go_on(last),
        }
    }

    /// Says where the memory of earlier runs is, where the state directory that would have it is `new`, and whether their
    /// output is there.
    pub(super) fn say_what_is_gone(&self, new: Option<&Path>, written: u64) {
        if let Some(home) = new {
            tracing::warn!(
                "the state directory `{}` is new: what earlier processes of this pipeline committed is known from their \
                 transactions, and this run goes on there",
                home.display()
            );
        }
        if self.output_is_gone && written > 0 {
            tracing::warn!(
                "nothing is here of {} that earlier runs wrote: {} on another machine. \
                 This run does not write them again; `--fresh` starts from the beginning",
                self.destination.as_ref().map_or("the output", |destination| &destination.name),
                clause(written, "record", "was removed, or is", "were removed, or are")
            );
        }
    }

    fn go_on(&self, last: &LastRun) -> Result<Start> {
        let (was, is) = (&last.record.topology, &self.pipeline.topology);
        if was != is {
            return Err(Error::config(format!(
                "the stages are not those of the run that {}: it had {was}, now there are {is}",
                if last.completed { "this one adds to" } else { "was interrupted" }
            ))
            .help("put the stages back to let that run end, or start from the beginning with `--fresh`"));
        }
        let changed = match last.record.options_hash == self.pipeline.options_hash {
            true => "",
            false => ", with the options as they are now",
        };
        tracing::info!("going on after {} of an earlier run{changed}", counted(last.counts.read, "record"));
        if self.rerun {
            tracing::info!("`--rerun` repeats a run that was completed; this one was interrupted");
        }
        Ok(Start::Resume)
    }

    fn carry_what_is_new(&self, last: &LastRun, source: &dyn Source) -> Result<Start> {
        let new = source.input_changes(&last.splits).map_err(|e| e.in_stage(&self.pipeline.source.label))?;
        let Some(new) = new else {
            tracing::info!(
                "the input holds nothing new since the last run ({} so far)",
                counted(last.counts.read, "record")
            );
            return Ok(Start::Nothing);
        };
        tracing::info!("carrying what is new: {new}");
        self.go_on(last)
    }

    fn after_a_completed_run(&self, last: &LastRun, repeat: Repeat, source: &dyn Source) -> Result<Start> {
        let input = source.input_changes(&last.splits).map_err(|e| e.in_stage(&self.pipeline.source.label))?;
        // The same files by another path are the same input.
        let other_input = last.record.input != self.input && input.is_some();
        let why = if self.rerun {
            Some("`--rerun` asks for it")
        } else {
            match repeat {
                Repeat::Always => Some("`rerun = \"always\"` asks for it"),
                Repeat::Never | Repeat::New => None,
                Repeat::Changed if last.record.content_hash != self.pipeline.content_hash => {
                    Some("options were changed since")
                }
                Repeat::Changed if other_input => Some("the input is another one"),
                Repeat::Changed => None,
            }
        };
        if let Some(why) = why {
            return self.repeat(last, why);
        }
        let unchanged = match repeat {
            Repeat::Never => "`rerun` is \"never\"",
            _ => "nothing that decides what comes out was changed since",
        };
        let carried =
            format!("the last run carried the whole input ({}) and {unchanged}", counted(last.counts.read, "record"));
        match input {
            None => tracing::info!("{carried}: nothing to do. `--rerun` carries it once more"),
            Some(differs) => tracing::warn!(
                "{carried}: nothing to do. The input has changed: {differs}. `--rerun` carries it once more, and with \
                 `rerun = \"new\"` a source that has this option carries what was added"
            ),
        }
        Ok(Start::Nothing)
    }

    fn repeat(&self, last: &LastRun, why: &str) -> Result<Start> {
        match self.pipeline.sink.config.rerun() {
            Rerun::Append => {
                let (wrote, are) = (
                    counted(last.counts.written, "record"),
                    if last.counts.written == 1 { "it is" } else { "they are" },
                );
                tracing::info!("the last run wrote {wrote}; {are} written once more: {why}");
                Ok(Start::Restart)
            }
            Rerun::Refuse => Err(Error::config(format!(
                "the last run of `{}` carried the whole input, and its {} there: this sink does not overwrite \
                 ({why})",
                self.pipeline.name,
                clause(last.counts.written, "record", "is", "are")
            ))
            .in_stage(&self.pipeline.sink.label)
            .help("`--fresh` removes the output that this pipeline wrote and starts from the beginning")),
        }
    }

    /// Going on in another place would leave each with a part of the output.
    fn goes_to_the_same_place(&self, last: &LastRun) -> Result<()> {
        match (&last.record.destination, &self.destination) {
            (Some(was), Some(is)) if !was.is_same(is) => Err(Error::config(format!(
                "the output of `{}` went to {}, and would go to {} now",
                self.pipeline.name, was.name, is.name
            ))
            .in_stage(&self.pipeline.sink.label)
            .help(
                "put that back, give the pipeline another `name`, under which it begins anew, or start from the \
                 beginning with `--fresh`",
            )),
            _ => Ok(()),
        }
    }

    /// As [`goes_to_the_same_place`](Self::goes_to_the_same_place), of the cluster, which is known once it was asked.
    pub(super) fn goes_to_the_same_cluster(&self, last: Option<&LastRun>, is: Option<&str>) -> Result<()> {
        let was = last.and_then(|last| last.record.cluster_id.as_deref());
        match (was, is) {
            (Some(was), Some(is)) if was != is => Err(Error::config(format!(
                "the output of `{}` went to the cluster {was}, and these brokers are the cluster {is}",
                self.pipeline.name
            ))
            .in_stage(&self.pipeline.sink.label)
            .help(
                "look at `brokers`, give the pipeline another `name`, under which it begins anew, or start from the \
                 beginning with `--fresh`",
            )),
            _ => Ok(()),
        }
    }

    /// Another group reads everything again: beside files that are there it must not.
    fn reads_as_another_group(&self, last: &LastRun) -> Result<bool> {
        let (was, is) = (&last.record.group, &self.group);
        if was == is {
            return Ok(false);
        }
        match self.pipeline.sink.config.rerun() {
            Rerun::Append => {
                tracing::warn!("the group was `{was}` and is `{is}` now, which begins where its own offsets stand");
                Ok(true)
            }
            Rerun::Refuse => Err(Error::config(format!(
                "the output of `{}` was read as the group `{was}`, and the group is `{is}` now: it would read and write \
                 all of it again",
                self.pipeline.name
            ))
            .in_stage(&self.pipeline.sink.label)
            .help(format!(
                "put `group = \"{was}\"` back, give the pipeline another `name` and another `dir`, or start from the \
                 beginning with `--fresh`"
            ))),
        }
    }
}
