//! Parts of pipelines that several tests put together.

use super::Kafka;

/// A source of a file in the format of [`uci`](super::uci).
pub(crate) const UCI_SOURCE: &str = r#"[source]
type = "csv"
path = "in.csv"
delimiter = ";"
decimal = ","
missing = [-200]
timestamp = { columns = ["Date", "Time"], format = "%d/%m/%Y %H.%M.%S" }
key = { name = "station", value = "uci" }
fields = ["CO(GT)", "NOx(GT)", "T"]
"#;

pub(crate) const NDJSON_DEAD_LETTERS: &str = "\n[dead_letter]\ntype = \"ndjson\"\ndir = \"dead\"\n";

impl Kafka {
    /// A source of a topic with more options, one a line.
    pub(crate) fn source(&self, topic: &str, options: &str) -> String {
        format!("[source]\ntype = \"kafka\"\nbrokers = \"{}\"\ntopics = [\"{topic}\"]\n{options}\n", self.brokers)
    }

    /// A sink that creates its topic with this many partitions.
    pub(crate) fn sink(&self, topic: &str, partitions: u16) -> String {
        let create = format!("create_topic = {{ partitions = {partitions}, replication = 1 }}");
        format!("\n[sink]\ntype = \"kafka\"\nbrokers = \"{}\"\ntopic = \"{topic}\"\n{create}\n", self.brokers)
    }

    /// Dead letters in a topic.
    pub(crate) fn dead_letters(&self, topic: &str) -> String {
        format!("\n[dead_letter]\ntype = \"kafka\"\nbrokers = \"{}\"\ntopic = \"{topic}\"\n", self.brokers)
    }
}
