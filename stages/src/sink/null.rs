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
    fn it_takes_every_record_prepares_nothing_and_has_no_options() {
        let config: NullSinkConfig = toml::from_str(EXAMPLE).expect("valid");
        let sink = config.build(&BuildContext::for_tests()).expect("builds");
        assert!(sink.two_phase_commit().is_none(), "there is nothing to commit");
        let mut writer = sink.open(&"split".into(), 0).expect("opens");
        writer.write(Batch::without_rows().expect("fits"), &mut Vec::new()).expect("writes");
        assert!(writer.prepare(OffsetRange::default()).expect("nothing to do").staged().is_empty());
        assert!(toml::from_str::<NullSinkConfig>("dir = \"x\"").is_err());
    }
}
