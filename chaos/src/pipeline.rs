//! The pipeline that is put to the test, as a file for aqpipe.

use std::fmt::Write as _;
use std::time::Duration;

use crate::acts::Path;
use crate::plan::Plan;
use crate::records::CONSTANT;

/// How soon the group misses a member.
pub(crate) const SESSION_SECS: u64 = 2;
/// The name of the pipeline, of its file, and of what derives from it.
pub(crate) const FILE: &str = "job.toml";
/// See [`FILE`].
pub(crate) const INPUT: &str = "in.csv";
/// See [`FILE`].
pub(crate) const OUT: &str = "out";
/// See [`FILE`].
pub(crate) const DEAD: &str = "dead";

/// Records of a paced run that are released together.
const STEP: u64 = 5;

/// The names on the brokers that nobody else has.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// Where the pipeline connects.
    pub(crate) brokers: String,
    pub(crate) pipeline: String,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) dead: String,
    /// Connections break all the time, so that what waits for an answer must not wait long.
    pub(crate) impatient: bool,
}

/// The text of the pipeline.
pub(crate) fn text(path: Path, plan: &Plan, names: &Names) -> String {
    let Names { brokers, pipeline, input, output, dead, .. } = names;
    let interval = plan.commit_interval_ms;
    let transactions = format!("transactions = {{ timeout_secs = {} }}\n", plan.transaction_secs);
    // It is said once, in the sink where that is Kafka.
    let (of_source, of_sink) = if path.writes_kafka() { ("", &*transactions) } else { (&*transactions, "") };
    let client = if names.impatient { "librdkafka = { \"socket.timeout.ms\" = 5000 }\n" } else { "" };
    let mut text = format!("name = \"{pipeline}\"\ncommit_interval_ms = {interval}\n\n[source]\n");
    // Writing to a string cannot fail.
    let _ = if path.reads_kafka() {
        write!(
            text,
            "type = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = [\"{input}\"]\nkey = \"station\"\n\
             session_timeout_secs = {SESSION_SECS}\n{of_source}{client}"
        )
    } else {
        write!(text, "type = \"csv\"\npath = \"{INPUT}\"\nkey = {{ column = \"station\" }}\n")
    };
    // A row that is held back waits for the next record of its source, however long the rounds keep that away.
    let _ = write!(
        text,
        "fields = [\"seq\", \"checksum\", \"v\"]\n\n[[transform]]\ntype = \"impute\"\nfields = [\"v\"]\n\
         max_wait_secs = 86400\nsteps = [{{ method = \"forward_fill\", limit = 1 }}, \
         {{ method = \"backward_fill\", limit = 1 }}, {{ method = \"constant\", value = {CONSTANT:?} }}]\n\n[sink]\n"
    );
    let _ = if path.writes_kafka() {
        write!(text, "type = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{output}\"\n{of_sink}{client}")
    } else {
        let size = plan.batch_size;
        write!(
            text,
            "type = \"csv\"\ndir = \"{OUT}\"\nprefix = \"{OUT}\"\nbatch_size = {size}\nbatch_timeout_secs = 1\n\
             partition = true\noffset = true\n"
        )
    };
    let _ = if path.needs_kafka() && plan.letters_to_kafka {
        write!(text, "\n[dead_letter]\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"{dead}\"\n{client}")
    } else {
        write!(text, "\n[dead_letter]\ntype = \"ndjson\"\ndir = \"{DEAD}\"\nprefix = \"{DEAD}\"\n")
    };
    text
}

/// What paces a run from a file, so that no machine is too fast for the rounds: so many records in so long.
pub(crate) fn pace(records: u64, long: Duration) -> String {
    let seconds = long.as_secs_f64().max(0.1) / records.max(1) as f64 * STEP as f64;
    format!("source.replay={{ interval_secs = {seconds:.6}, records_per_step = {STEP} }}")
}
