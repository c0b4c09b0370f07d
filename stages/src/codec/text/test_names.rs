//! The tests that objected to values, as text.

use std::sync::Arc;

use aqpipe_engine::record::{Batch, Column};

/// Appends the tests that objected to values of a record as `FIELD=TEST` with `;` between them, a part for each:
/// `NOx(GT)=gross_range;CO(GT)=syntax`. `names` are those of the tests by bit. A name of a test has neither `=` nor `;` in it, so that
/// the last `=` of a part ends the name of the field.
pub fn write_tests(out: &mut Vec<u8>, batch: &Batch, row: usize, names: &[Arc<str>]) {
    let start = out.len();
    for (field, column) in batch.fields().list.iter().zip(batch.columns()) {
        let Column::Number(numbers) = column else { continue };
        let tests = numbers.quality_at(row).tests();
        for (_, name) in names.iter().enumerate().filter(|(bit, _)| tests & (1 << (bit & 15)) != 0) {
            if out.len() > start {
                out.push(b';');
            }
            out.extend_from_slice(field.name.as_bytes());
            out.push(b'=');
            out.extend(name.bytes().map(|byte| if matches!(byte, b'=' | b';') { b'_' } else { byte }));
        }
    }
}
