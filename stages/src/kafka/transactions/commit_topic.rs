//! The topic that holds a pipeline's commit metadata.

use aqpipe_engine::Error;

/// The error of a pipeline whose commit topic was deleted while it ran.
pub(super) fn commits_gone(topic: &str) -> Error {
    let message = format!(
        "the topic of commits, `{topic}`, was deleted while the pipeline ran: where it stood and what its transforms knew is \
         gone with it"
    );
    Error::new(message).help(
        "what it wrote is still there. `--fresh` makes that topic anew and starts from the beginning; into a topic all \
         records are then sent once more",
    )
}
