//! Records as columns: what a batch is, what is known of each of its cells, and where its rows came from.

mod batch;
mod cell_quality;
mod field_test;
mod fields;
mod origin;
mod position;
mod qc_tests;

pub use batch::{Batch, BatchParts, Column, Numbers};
pub use cell_quality::{CellQuality, Flag, Provenance};
pub use field_test::FieldTest;
pub use fields::{Field, Fields, Kind, SAMPLE_RECORDS, TIMESTAMP};
pub use origin::Origin;
pub use position::{OffsetRange, Position, SplitId};
pub use qc_tests::QcTests;
