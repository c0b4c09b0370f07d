//! The compacted topic that holds the commit metadata of pipelines.

use std::time::Duration;

use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;

use super::metadata_records::metadata_partition;
use super::options::TransactionOptions;
use crate::kafka::admin;
use crate::kafka::connection_monitor::ConnectionMonitor;
use crate::kafka::metadata_client::MetadataClient;
use crate::kafka::topic_options::CreateTopic;
use crate::kafka::topic_partition::TopicPartition;
use crate::kafka::topics::{self, TopicWait};

/// Partitions of a topic that aqpipe creates. Pipelines in one partition wait for each other's open transactions.
const COMMIT_TOPIC_PARTITIONS: i32 = 16;
/// Copies of each record of a topic that aqpipe creates, where there are so many brokers.
const COMMIT_TOPIC_REPLICATION: usize = 3;
/// Bytes of a segment of the topic. Only segments before the last one are compacted, so it is small.
const COMMIT_TOPIC_SEGMENT_BYTES: &str = "16777216";

/// The commit topic of a pipeline.
pub(super) struct CommitTopic<'a> {
    pub(super) client: &'a MetadataClient,
    pub(super) config: &'a ClientConfig,
    pub(super) options: &'a TransactionOptions,
    pub(super) monitor: &'a ConnectionMonitor,
    pub(super) cancellation: &'a CancellationToken,
}

impl CommitTopic<'_> {
    fn name(&self) -> &str {
        &self.options.topic
    }

    fn wait(&self, can_create: bool) -> Result<Option<usize>> {
        let stopping = || {
            // A poll delivers the errors of the client.
            let _ = self.client.poll(Duration::ZERO);
            self.cancellation.is_abandoned()
        };
        match topics::await_topic(self.client.client(), self.monitor, self.name(), can_create, &stopping)? {
            TopicWait::Found(partitions) => Ok(Some(partitions)),
            TopicWait::Missing => Ok(None),
            TopicWait::Stopped => Err(Error::new(format!("stopped while waiting for topic `{}`", self.name()))),
        }
    }

    /// Ensures that the topic exists, on a cluster of so many brokers; returns why it cannot.
    ///
    /// # Errors
    /// Where the run abandons the wait for a broker, or the brokers refuse the client.
    pub(super) fn ensure(&self, brokers: usize) -> Result<Option<String>> {
        if self.wait(true)?.is_some() {
            return Ok(None);
        }
        let topic = self.name();
        let copies = i32::try_from(brokers.clamp(1, COMMIT_TOPIC_REPLICATION)).unwrap_or(1);
        let replication = self.options.replication.unwrap_or(copies);
        let set = [("cleanup.policy", "compact"), ("segment.bytes", COMMIT_TOPIC_SEGMENT_BYTES)];
        let how = CreateTopic { partitions: COMMIT_TOPIC_PARTITIONS, replication };
        if let Err(error) = admin::create_topic(self.config, topic, how, &set) {
            return Ok(Some(format!("there is no topic `{topic}` to note commits in, and {error}")));
        }
        tracing::info!(pipeline = &*self.monitor.pipeline, "created topic `{topic}` for commits");
        Ok(None)
    }

    /// The partition that holds a pipeline's metadata; `None` where the topic does not exist. Waits for a topic that was
    /// just created.
    ///
    /// # Errors
    /// As for [`ensure`](Self::ensure).
    pub(super) fn partition_of(&self, pipeline: &str, is_created: bool) -> Result<Option<TopicPartition>> {
        let partitions = self.wait(!is_created)?;
        let partition = |partitions| TopicPartition::new(self.name(), metadata_partition(pipeline, partitions));
        Ok(partitions.map(partition))
    }

    /// Checks that the topic, with that `cleanup.policy`, keeps the last record of each key.
    ///
    /// # Errors
    /// Where it does not.
    pub(super) fn check_policy(&self, policy: &str) -> Result<()> {
        if !forgets(policy) {
            return Ok(());
        }
        let message = format!(
            "the topic of commits, `{}`, would forget commits: its `cleanup.policy` is `{policy}`, and it has to be \
             `compact`",
            self.name()
        );
        let help = "set its `cleanup.policy` to `compact`, or name another topic in `transactions`";
        Err(Error::config(message).help(help))
    }
}

/// Whether a topic with that `cleanup.policy` drops old records, even the last one of a key.
fn forgets(policy: &str) -> bool {
    policy.split(',').map(str::trim).ne(["compact"])
}

/// The error of a pipeline whose commit topic was deleted while it ran.
pub(super) fn commits_gone(topic: &str) -> Error {
    let message = format!(
        "the topic of commits, `{topic}`, was deleted while the pipeline ran: where it stood and what its transforms knew is \
         gone with it"
    );
    Error::new(message).help(
        "what it wrote is still there. `--fresh` makes that topic anew and starts from the beginning; into a topic all \
         records are then sent once more",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_drops_what_is_old_forgets_though_it_is_compacted_as_well() {
        assert!(!forgets("compact"));
        for policy in ["delete", "compact,delete", "delete, compact", ""] {
            assert!(forgets(policy), "{policy}");
        }
    }
}
