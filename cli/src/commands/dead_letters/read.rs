//! Reads the dead letters of a pipeline.

use std::time::Duration;

use anyhow::{Result, bail};
use aqpipe_engine::config::Pipeline;
use aqpipe_engine::run::{Replayed, replayed};
use aqpipe_engine::stage::{BuildContext, StoredDeadLetter};

use crate::printer;

/// How long brokers may take to return the commit metadata, which says which dead letters were replayed.
pub(super) const METADATA_TIMEOUT: Duration = Duration::from_secs(30);
/// The same where dead letters are in files, which are listed without that metadata too.
const OPTIONAL_METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls `take` with each dead letter of the pipeline. Other pipelines may write to the same destination.
pub(super) fn for_each_dead_letter(pipeline: &Pipeline, mut take: impl FnMut(StoredDeadLetter)) -> Result<()> {
    let Some(stage) = &pipeline.dead_letter else {
        bail!("the pipeline `{}` has no [dead_letter]", pipeline.name);
    };
    let cx = BuildContext::bare(&pipeline.name);
    let Some(mut dead_letters) = stage.config.dead_letter_reader(&cx)? else {
        bail!("dead letters of type `{}` cannot be read back", stage.kind);
    };
    dead_letters.each(&mut |dead_letter| {
        if dead_letter.pipeline == pipeline.name {
            take(dead_letter);
        }
        Ok(())
    })?;
    Ok(())
}

/// The dead letters that were replayed. Dead letters in files are listed without that knowledge, where the brokers that
/// keep it do not answer.
pub(super) fn replays_if_known(pipeline: &Pipeline) -> Result<Replayed> {
    let in_files = pipeline.dead_letter.as_ref().is_some_and(|stage| stage.config.writes().is_empty());
    match replayed(pipeline, if in_files { OPTIONAL_METADATA_TIMEOUT } else { METADATA_TIMEOUT }) {
        Err(error) if in_files => {
            printer::err(&format!("warning: it is unknown which of them were replayed: {}", error.headline()));
            Ok(Replayed::default())
        }
        known => Ok(known?),
    }
}
