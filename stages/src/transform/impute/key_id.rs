//! The number of a key.

/// The number of a key, in the order in which keys were first seen.
pub(super) type KeyId = u32;
