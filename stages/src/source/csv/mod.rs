//! From CSV files.

mod again;
mod check;
mod config;
mod decode;
mod dialect;
mod files;
mod form;
mod header;
mod known;
mod marks;
mod missing;
mod plan;
mod prefix;
mod records;
mod source;
mod split;
#[cfg(test)]
mod tests;
mod time;
mod torn;

use aqpipe_engine::Result;
use aqpipe_engine::record::Fields;
use aqpipe_engine::run::Pace;
use aqpipe_engine::stage::{
    Boundedness, BuildContext, DeadLetterDecoder, Descriptor, Problem, Repeat, Source, SourceConfig, SplitState,
};

use self::config::CsvSourceConfig;
use self::source::CsvSource;
use crate::input::replay::Replay;
use crate::source::StandIn;

const EXAMPLE: &str = "\
path = \"data/AirQualityUCI.csv\"
delimiter = \";\"
decimal = \",\"
missing = [-200]
timestamp = { columns = [\"Date\", \"Time\"], format = \"%d/%m/%Y %H.%M.%S\" }
timezone = \"+01:00\"
key = { name = \"station\", value = \"uci\" }
";

inventory::submit! { Descriptor::source::<CsvSourceConfig>("csv", EXAMPLE).beside_content(&["path", "parallel", "rerun", "replay", "sample_if_missing"]) }

impl SourceConfig for CsvSourceConfig {
    fn check(&self) -> Result<Fields, Vec<Problem>> {
        self.checked()
    }

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded { rerun: self.rerun }
    }

    fn pace(&self) -> Option<Pace> {
        self.replay.as_ref().map(Replay::pace)
    }

    /// Needs the files for their header alone, and only for letters that have not kept theirs.
    fn dead_letter_decoder(&self, cx: &BuildContext) -> Result<Option<Box<dyn DeadLetterDecoder>>> {
        let files = files::expand(&self.path)?;
        Ok(Some(Box::new(CsvSource::new(self.clone(), files, cx).again()?)))
    }

    fn describe_state(&self, start: &SplitState) -> Option<String> {
        known::place(start)
    }

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>> {
        let files = files::expand(&self.path)?;
        if !files.is_empty() {
            return Ok(Box::new(CsvSource::new(self.clone(), files, cx)));
        }
        if !self.sample_if_missing {
            return Err(files::nothing_there(&self.path));
        }
        StandIn::asked(cx).map_err(|command| {
            files::nothing_there(&self.path)
                .help(format!("put it there, or have generated readings instead, which are not measured: `{command}`"))
        })?;
        source::sample_instead(self, cx)
    }
}
