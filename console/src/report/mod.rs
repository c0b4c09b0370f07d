//! The data-quality report over finished output.
