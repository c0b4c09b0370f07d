//! The pipeline under test, as a TOML file.

use std::fmt::Write as _;
use std::time::Duration;

use crate::dataset::MEDIAN_WINDOW;
use crate::faults::{Path, SESSION_TIMEOUT_SECS};
use crate::plan::Plan;

/// The pipeline, in the working directory.
pub(crate) const PIPELINE_FILE: &str = "job.toml";
/// The input of a path that reads a file.
pub(crate) const INPUT_FILE: &str = "in.csv";
/// The directory and the prefix of output files.
pub(crate) const OUTPUT_DIR: &str = "out";
/// The directory and the prefix of dead letters.
pub(crate) const DEAD_LETTER_DIR: &str = "dead";

/// How many records a paced source releases together.
const PACED_STEP_RECORDS: u64 = 5;

/// The addresses and the unique names of a trial.
#[derive(Clone, Debug)]
pub(crate) struct PipelineNames {
    /// The bootstrap servers of the pipeline.
    pub(crate) brokers: String,
    pub(crate) pipeline: String,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) dead: String,
    /// Whether requests time out soon, because connections break all the time.
    pub(crate) short_timeouts: bool,
}

/// The text of the pipeline.
pub(crate) fn text(path: Path, plan: &Plan, names: &PipelineNames) -> String {
    let PipelineNames { brokers, pipeline, input, output, dead, .. } = names;
    let interval = plan.commit_interval_ms;
    let transactions = format!("transactions = {{ timeout_secs = {} }}\n", plan.transaction_secs);
    // `transactions` is written once: in the sink, where that is Kafka.
    let (source_transactions, sink_transactions) =
        if path.writes_kafka() { ("", &*transactions) } else { (&*transactions, "") };
    let assignment = if plan.cooperative { "cooperative" } else { "eager" };
    let client = if names.short_timeouts { "librdkafka = { \"socket.timeout.ms\" = 5000 }\n" } else { "" };
    let mut text = format!("name = \"{pipeline}\"\ncommit_interval_ms = {interval}\n\n[source]\n");
    // Writing to a string cannot fail.
    let _ = if path.reads_kafka() {
        write!(
            text,
            "type = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = [\"{input}\"]\nkey = \"station\"\n\
             assignment = \"{assignment}\"\nsession_timeout_secs = {SESSION_TIMEOUT_SECS}\n{source_transactions}{client}"
        )
    } else {
        write!(text, "type = \"csv\"\npath = \"{INPUT_FILE}\"\nkey = {{ column = \"station\" }}\n")
    };
    // A held row waits for the next record of its station, however long the faults delay that record.
    let _ = write!(
        text,
        "fields = [\"seq\", \"checksum\", \"v\"]\n\n[[transform]]\ntype = \"impute\"\nfields = [\"v\"]\n\
         max_wait_secs = 86400\nsteps = [{{ method = \"forward_fill\", limit = 1 }}, \
         {{ method = \"backward_fill\", limit = 1 }}, {{ method = \"median\", window = {MEDIAN_WINDOW} }}]\n\n[sink]\n"
    );
    let _ = if path.writes_kafka() {
        write!(text, "type = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{output}\"\n{sink_transactions}{client}")
    } else {
        let size = plan.batch_size;
        write!(
            text,
            "type = \"csv\"\ndir = \"{OUTPUT_DIR}\"\nprefix = \"{OUTPUT_DIR}\"\nbatch_size = {size}\nbatch_timeout_secs = 1\n\
             partition = true\noffset = true\n"
        )
    };
    let _ = if path.needs_kafka() && plan.dead_letters_to_kafka {
        write!(text, "\n[dead_letter]\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{dead}\"\n{client}")
    } else {
        write!(
            text,
            "\n[dead_letter]\ntype = \"ndjson\"\ndir = \"{DEAD_LETTER_DIR}\"\nprefix = \"{DEAD_LETTER_DIR}\"\n"
        )
    };
    text
}

/// The override that paces a file source, so that a fast machine does not complete before the rounds do.
pub(crate) fn pace(records: u64, long: Duration) -> String {
    let seconds = long.as_secs_f64().max(0.1) / records.max(1) as f64 * PACED_STEP_RECORDS as f64;
    format!("source.replay={{ interval_secs = {seconds:.6}, records_per_step = {PACED_STEP_RECORDS} }}")
}
