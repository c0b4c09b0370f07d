//! A source and a sink for pipelines whose transforms alone are run.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::record::Fields;
use crate::stage::{Boundedness, BuildContext, Descriptor, Problem, Repeat, Sink, SinkConfig, Source, SourceConfig};

/// The `type` of both.
pub(super) const STUB: &str = "harness";

/// Stands for the rows that a test puts in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StubSource {}

impl SourceConfig for StubSource {
    fn check(&self) -> Result<Fields, Vec<Problem>> {
        Ok(Fields { open: true, ..Fields::default() })
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded { rerun: Repeat::Never }
    }

    fn build(&self, _cx: &BuildContext) -> Result<Box<dyn Source>> {
        Err(Error::bug("the source of a harness is not read"))
    }
}

/// Stands for the rows that a test gets back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StubSink {}

impl SinkConfig for StubSink {
    fn check(&self, _input: &Fields) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    fn build(&self, _cx: &BuildContext) -> Result<Arc<dyn Sink>> {
        Err(Error::bug("the sink of a harness is not written to"))
    }
}

/// Both, for a registry of their own: no pipeline of a user has them.
pub(super) static STUBS: [Descriptor; 2] =
    [Descriptor::source::<StubSource>(STUB, ""), Descriptor::sink::<StubSink>(STUB, "")];
