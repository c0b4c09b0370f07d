//! Whether generated readings may stand in for files that are missing.

use aqpipe_engine::stage::BuildContext;

/// What a run says of generated readings in the place of missing files: whoever starts it puts this among what the
/// pipelines share. They are never sent by accident, for to a reader of a topic they are readings like any other.
#[derive(Clone, Debug)]
pub enum StandIn {
    /// They may stand in.
    Allowed,
    /// They may not.
    Refused {
        /// The command that allows them, as it is typed.
        command: String,
    },
}

impl StandIn {
    /// Whether they may; else what to type so that they may.
    pub(crate) fn asked(cx: &BuildContext) -> Result<(), String> {
        match cx.process_extensions().get::<StandIn>().as_deref() {
            Some(StandIn::Allowed) => Ok(()),
            Some(StandIn::Refused { command }) => Err(command.clone()),
            None => Err("aqpipe run --sample FILE".to_owned()),
        }
    }
}
