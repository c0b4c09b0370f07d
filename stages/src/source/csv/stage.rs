//! The stage: what the engine asks of the options, and its registration.

use aqpipe_engine::Pace;
use aqpipe_engine::Result;
use aqpipe_engine::record::Fields;
use aqpipe_engine::stage::{
    Boundedness, BuildContext, DeadLetterDecoder, Descriptor, Problem, Source, SourceConfig, SplitState,
};

use super::config::CsvSourceConfig;
use super::source::{CsvSource, sample_instead};
use super::{input_files, snapshot};
use crate::input::playback::Playback;
use crate::reading::time::Zone;
use crate::source::sample::StandIn;

const EXAMPLE: &str = "\
path = \"data/AirQualityUCI.csv\"
delimiter = \";\"
decimal = \",\"
missing = [-200]
timestamp = { columns = [\"Date\", \"Time\"], format = \"%d/%m/%Y %H.%M.%S\" }
timezone = \"+01:00\"
key = { name = \"station\", value = \"uci\" }
";

/// Options that change no record of the input.
const BESIDE_CONTENT: &[&str] =
    &["path", "follow", "on_unreadable", "parallel", "rerun", "replay", "sample_if_missing"];

inventory::submit! { Descriptor::source::<CsvSourceConfig>("csv", EXAMPLE).beside_content(BESIDE_CONTENT) }

impl SourceConfig for CsvSourceConfig {
    fn check(&self) -> Result<Fields, Vec<Problem>> {
        self.checked()
    }

    fn warnings(&self) -> Vec<Problem> {
        self.problems().into_iter().filter(|problem| problem.warning).collect()
    }

    fn boundedness(&self) -> Boundedness {
        if self.follow { Boundedness::Unbounded } else { Boundedness::Bounded { rerun: self.rerun } }
    }

    fn changing_clock(&self) -> Option<String> {
        Zone::parse(&self.timezone)?.changing_clock()
    }

    fn pace(&self) -> Option<Pace> {
        self.replay.as_ref().map(Playback::pace)
    }

    /// Reads only the files' headers, and those only for dead letters that have not kept theirs.
    fn dead_letter_decoder(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterDecoder>>> {
        let files = input_files::expand(&self.path, self.encoding())?;
        Ok(Some(Box::new(CsvSource::new(self.clone(), files, cx).dead_letter_decoder()?)))
    }

    fn describe_state(&self, start: &SplitState) -> Option<String> {
        snapshot::describe_state(start)
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>> {
        let files = input_files::expand(&self.path, self.encoding())?;
        if !files.is_empty() {
            return Ok(Box::new(CsvSource::new(self.clone(), files, cx)));
        }
        if self.follow && !cx.until_end() && (self.is_declared() || !self.has_header()) {
            tracing::warn!("there is no file {} yet: it is waited for", self.path);
            return Ok(Box::new(CsvSource::new(self.clone(), files, cx)));
        }
        if !self.sample_if_missing {
            return Err(input_files::no_such_file(&self.path));
        }
        StandIn::asked(cx).map_err(|command| {
            input_files::no_such_file(&self.path)
                .help(format!("put it there, or have generated readings instead, which are not measured: `{command}`"))
        })?;
        sample_instead(self, cx)
    }
}
