//! To be written.
use aqpipe_engine::record::Field;
use aqpipe_engine::stage::{BuildContext, Source};
use aqpipe_engine::{Error, Result};
use std::sync::Arc;
#[expect(clippy::needless_pass_by_value, reason = "x")]
pub(super) fn instead_of(
    _: Option<Vec<Field>>,
    _: Option<(Arc<str>, Option<String>)>,
    _: &str,
    _: Option<u64>,
    _: &BuildContext,
) -> Result<Box<dyn Source>> {
    Err(Error::bug("no sample"))
}
