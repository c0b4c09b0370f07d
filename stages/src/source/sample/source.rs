//! The source: one split of generated readings.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::monitor::Metrics;
use aqpipe_engine::record::{Fields, SplitId};
use aqpipe_engine::stage::{BuildContext, Source, SourceContext, SplitReader};

use super::settings::SampleSettings;
use super::split::SampleSplitReader;
use crate::file_commit::GeneratedReadings;
use crate::input::run_splits;

/// Generated readings.
pub(crate) struct SampleSource {
    settings: SampleSettings,
    keep_raw: bool,
    metrics: Arc<Metrics>,
}

impl SampleSource {
    pub(crate) fn new(settings: SampleSettings, cx: &BuildContext) -> SampleSource {
        cx.pipeline_extensions().put(Arc::new(GeneratedReadings));
        SampleSource { settings, keep_raw: cx.keeps_raw(), metrics: Arc::clone(cx.metrics()) }
    }

    /// The one split. Its id is never the name of the file that the readings replace.
    fn id() -> SplitId {
        "sample".into()
    }
}

impl Source for SampleSource {
    fn fields(&self) -> Result<Option<Fields>> {
        Ok(Some(self.settings.layout()))
    }

    fn fit_readers(&self) -> Result<Vec<(SplitId, Box<dyn SplitReader>)>> {
        let settings = SampleSettings { limit: None, ..self.settings.clone() };
        Ok(vec![(Self::id(), Box::new(SampleSplitReader::new(&settings, self.keep_raw, 0, None)))])
    }

    fn run(self: Box<Self>, context: Arc<dyn SourceContext>) -> Result<()> {
        let id = Self::id();
        let state = context.split_states(std::slice::from_ref(&id))?.pop().flatten();
        let row = state.as_ref().map_or(0, |state| state.position.records);
        let reader = SampleSplitReader::new(&self.settings, self.keep_raw, row, Some(&self.metrics));
        run_splits::run_splits(std::iter::once(Ok((id, Box::new(reader) as Box<dyn SplitReader>, state))), &*context)
    }
}
