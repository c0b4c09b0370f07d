//! What sources share: columns in the making, replay and time zones as options, and splits that end by themselves.

pub(crate) mod bounded;
pub(crate) mod cells;
pub(crate) mod replay;
pub(crate) mod zone;
