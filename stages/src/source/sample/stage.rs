//! The stage: what the engine asks of the options, and its registration.

use aqpipe_engine::Result;
use aqpipe_engine::record::Fields;
use aqpipe_engine::run::Pace;
use aqpipe_engine::stage::{BuildContext, Descriptor, Problem, Repeat, Source, SourceConfig};

use super::config::SampleSourceConfig;
use super::source::SampleSource;
use crate::input::playback::Playback;

inventory::submit! { Descriptor::source::<SampleSourceConfig>() }

impl SourceConfig for SampleSourceConfig {
    const NAME: &'static str = "sample";
    const EXAMPLE: &'static str = "\
seed = 1
records = 9357
stations = [\"north\", \"south\"]
";

    const BESIDE_CONTENT: &'static [&'static str] = &["rerun", "replay"];

    fn check(&self) -> Result<Fields, Vec<Problem>> {
        Ok(self.settings()?.layout())
    }

    fn bounded(&self) -> bool {
        !self.endless
    }

    fn rerun(&self) -> Option<Repeat> {
        Some(self.rerun)
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
