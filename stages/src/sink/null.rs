//! The sink `null`: drops every record.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, Fields, OffsetRange, SplitId};
use aqpipe_engine::schemars::{self, JsonSchema};
use aqpipe_engine::stage::{
    BuildContext, DeadLetter, Delivery, Descriptor, Prepared, Problem, Sink, SinkConfig, Writer,
};
use serde::Deserialize;

/// Drops every record: for measuring what comes before it, and for runs of which only the summary is of interest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NullSinkConfig {}

impl SinkConfig for NullSinkConfig {
    fn check(&self, _input: &Fields) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    fn delivery(&self) -> Delivery {
        Delivery::AtLeastOnce
    }

    fn build(&self, _cx: &BuildContext) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(NullSink))
    }
}

const EXAMPLE: &str = "";

aqpipe_engine::inventory::submit! { Descriptor::sink::<NullSinkConfig>("null", EXAMPLE) }

struct NullSink;

impl Sink for NullSink {
    fn open(&self, _split: &SplitId, _epoch: u64) -> Result<Box<dyn Writer>> {
        Ok(Box::new(NullSink))
    }
}

impl Writer for NullSink {
    fn write(&mut self, _batch: Batch, _dead: &mut Vec<DeadLetter>) -> Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _span: OffsetRange) -> Result<Prepared> {
        Ok(Prepared::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_valid_configuration() {
        let table: serde_json::Value = serde_json::json!({});
        let config: NullSinkConfig = serde_json::from_value(table).expect("valid");
        let sink = config.build(&BuildContext::for_tests()).expect("builds");
        let mut writer = sink.open(&"split".into(), 0).expect("opens");
        assert!(writer.prepare(OffsetRange::default()).expect("nothing to do").staged().is_empty());
        assert!(serde_json::from_value::<NullSinkConfig>(serde_json::json!({"dir": "x"})).is_err());
    }
}
