//! The colours of the pictures.

/// The style sheet of all pictures, for light and dark.
pub const STYLE: &str = include_str!("pictures.css");
