//! What bounded sources share: playback as an option, and running splits.

pub(crate) mod playback;
pub(crate) mod run_splits;
