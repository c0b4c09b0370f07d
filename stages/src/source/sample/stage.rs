//! The stage: what the engine asks of the options, and its registration.

use aqpipe_engine::Pace;
use aqpipe_engine::Result;
use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::{Boundedness, BuildContext, Descriptor, Problem, Source, SourceConfig};

use super::config::SampleSourceConfig;
use super::source::SampleSource;
use crate::input::playback::Playback;

const EXAMPLE: &str = "\
seed = 1
records = 9357
stations = [\"north\", \"south\"]
";

inventory::submit! { Descriptor::source::<SampleSourceConfig>("sample", EXAMPLE).beside_content(&["rerun", "replay"]) }

impl SourceConfig for SampleSourceConfig {
    fn check(&self) -> Result<Fields, Vec<Problem>> {
        Ok(self.settings()?.layout())
    }

    fn boundedness(&self) -> Boundedness {
        if self.endless { Boundedness::Unbounded } else { Boundedness::Bounded { rerun: self.rerun } }
    }

    fn pace(&self) -> Option<Pace> {
        self.replay.as_ref().map(Playback::pace)
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>> {
        let settings = self.settings().map_err(|problems| {
            let first = problems.first().map(|problem| problem.message.clone());
            aqpipe_engine::Error::config(first.unwrap_or_default())
        })?;
        Ok(Box::new(SampleSource::new(settings, cx)))
    }
}
