//! A view into a running chain.

use crate::record::Batch;
use crate::stage::Output;

/// Sees what each transform takes and gives: for previews and tests. It is called on the thread of a split, after each call of
/// a stage, so that it must be quick.
pub trait Observer: Send + Sync {
    /// A stage was called.
    fn passed(&self, passed: &Passed<'_>);
}

/// One call of a stage.
#[derive(Debug)]
pub struct Passed<'a> {
    /// The name of the stage in the pipeline.
    pub stage: &'a str,
    /// The rows that went in; none for a call at the end of the input or after a time.
    pub input: Option<&'a Batch>,
    /// The rows that came out, its dead letters and the number of filtered rows.
    pub output: &'a Output,
}
