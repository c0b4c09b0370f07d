//! A batch as the report takes it.

use aqpipe_engine::record::Numbers;

use super::civil::{Day, LocalTime};
use super::expected::Moment;
use super::origin::Threshold;

/// A row that counts: its place in the batch, its station and when it was.
pub(super) struct Row {
    pub(super) row: usize,
    pub(super) station: usize,
    pub(super) moment: Moment,
    pub(super) local: LocalTime,
    pub(super) day: Day,
}

/// A column of measurements, with the number of its field, where there are not too many.
pub(super) struct Measured<'a> {
    pub(super) numbers: &'a Numbers,
    pub(super) field: Option<usize>,
    pub(super) threshold: Option<Threshold>,
}
