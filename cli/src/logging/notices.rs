//! What logs say of themselves: how often a message was held back, that a file could not be rotated.

use std::sync::mpsc::SyncSender;

use tracing::Level;

use super::event_text::LOG_TARGET;

/// Something that a log says of itself.
pub(super) struct Notice {
    pub(super) level: Level,
    /// The pipeline that it belongs to, where it is one.
    pub(super) pipeline: Option<String>,
    pub(super) text: String,
    /// How often the message of the text was held back.
    pub(super) repeated: Option<u64>,
}

impl Notice {
    pub(super) fn log(&self) {
        let (pipeline, repeated, text) = (self.pipeline.as_deref(), self.repeated, &*self.text);
        match self.level {
            Level::ERROR => tracing::error!(target: LOG_TARGET, pipeline, repeated, "{text}"),
            Level::WARN => tracing::warn!(target: LOG_TARGET, pipeline, repeated, "{text}"),
            Level::INFO => tracing::info!(target: LOG_TARGET, pipeline, repeated, "{text}"),
            Level::DEBUG => tracing::debug!(target: LOG_TARGET, pipeline, repeated, "{text}"),
            Level::TRACE => tracing::trace!(target: LOG_TARGET, pipeline, repeated, "{text}"),
        }
    }
}

/// The way to the thread that logs notices; `None` ends it.
#[derive(Clone)]
pub(super) struct Notices(pub(super) SyncSender<Option<Notice>>);

impl Notices {
    /// Has a notice logged. Does not wait.
    pub(super) fn log(&self, notice: Notice) {
        let _ = self.0.try_send(Some(notice));
    }
}
