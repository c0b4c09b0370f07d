//! Whether generated readings may replace missing files.

use aqpipe_engine::stage::BuildContext;

/// Whether generated readings may replace missing files. The program that starts a run puts this into the
/// [`Extensions`](aqpipe_engine::stage::Extensions) of its process. Without it they may not, because a reader of a topic cannot
/// tell them from measured ones.
#[derive(Clone, Debug)]
pub enum StandIn {
    /// They may.
    Allowed,
    /// They may not.
    Refused {
        /// The command that allows them, as it is typed.
        command: String,
    },
}

impl StandIn {
    /// Whether they may; otherwise the command that allows them.
    pub(crate) fn asked(cx: &BuildContext) -> Result<(), String> {
        match cx.process_extensions().get::<StandIn>().as_deref() {
            Some(StandIn::Allowed) => Ok(()),
            Some(StandIn::Refused { command }) => Err(command.clone()),
            None => Err("aqpipe run --sample FILE".to_owned()),
        }
    }
}
