//! What bounded sources share: playback and time zones as options, and running splits.

pub(crate) mod playback;
pub(crate) mod run_splits;
pub(crate) mod zone;
