//! What a pipeline makes of records.

use crate::record::FieldTest;

/// What a pipeline makes of records at present. It is among the values that the stages of a pipeline share
/// ([`BuildContext::pipeline_extensions`](super::BuildContext::pipeline_extensions)), and a swap of the transforms replaces it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineVersion {
    /// The digest of the options that decide the output, as eight hexadecimal digits: another digest is another output.
    pub digest: String,
    /// Its tests.
    pub tests: Vec<FieldTest>,
}
