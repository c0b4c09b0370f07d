//! Names that the wire format gives.

/// The property that holds the quality of a record's values.
pub const QUALITY: &str = "quality";

/// The column name of a score that is read back.
pub const SCORE: &str = "quality_score";
