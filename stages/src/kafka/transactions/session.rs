//! An open transaction log: one transaction after the other, and recovery from their failures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::stage::{CommitMetadata, Decision, FencingToken, Transaction, TransactionLog};
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::TopicId;
use rdkafka::error::KafkaError;

use super::attempt::{Attempt, TransactionContents};
use super::error;
use super::group_fence::{FencedOffsets, GroupFence};
use super::metadata_reader::{MetadataReader, Until, alarm_open_transaction, last_transaction_key, presence_key};
use super::metadata_records::{self, MetadataRecord};
use super::producer::TransactionalProducer;
use super::record_buffer::RecordBuffer;
use crate::kafka::topic_partition::offset_list;

/// How long brokers take to notice that a transaction has lasted too long: they scan every ten seconds.
pub(super) const TRANSACTION_SCAN_INTERVAL: Duration = Duration::from_secs(10);

/// How long a process may take from its start until it has written that it runs.
const PRESENCE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the id of the commit topic is compared.
const TOPIC_ID_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// How often one transaction is repeated with another producer after one that reported why it failed for good: such a
/// reason does not go away.
const REINITS_MAX: u32 = 5;

/// Makes the producer of any writer of the pipeline.
pub(super) type MakeProducer = Box<dyn Fn(&str) -> Result<TransactionalProducer> + Send>;

pub(super) struct TransactionSession {
    producer: TransactionalProducer,
    reader: MetadataReader,
    pipeline: String,
    writer: String,
    cluster: String,
    name: String,
    /// How long brokers let a transaction last.
    timeout: Duration,
    /// The numbers that this process wrote under its presence key: another number is that of another process.
    local: Vec<u64>,
    /// The last transaction of this process, and the count of failures by then.
    last: Option<(u64, u64)>,
    /// Keys of forgotten writers, which the next transaction removes.
    forgotten_keys: Vec<String>,
    /// When the producer was last replaced.
    reinitialized: Option<Instant>,
    /// The id of the commit topic, where the brokers give it one.
    commit_topic_id: Option<TopicId>,
    /// When that id was last compared.
    commit_topic_checked: Instant,
    make_producer: MakeProducer,
}

impl TransactionSession {
    /// Reads the commit topic to its end, and writes that this process runs.
    pub(super) fn start(&mut self) -> Result<()> {
        self.reader.read(&presence_key(&self.writer), Until::End, None)?;
        self.refresh()?;
        // Not before: until this process has written that it runs, another one of its name may take it for dead.
        self.commit_topic_id = self.producer.commit_topic_id();
        Ok(())
    }

    pub(super) fn new(
        (producer, reader): (TransactionalProducer, MetadataReader),
        (pipeline, writer, cluster): (&str, &str, String),
        make_producer: MakeProducer,
    ) -> TransactionSession {
        let timeout = producer.timeout();
        let name = format!("a Kafka transaction of `{}`", producer.id);
        TransactionSession {
            producer,
            reader,
            pipeline: pipeline.to_owned(),
            writer: writer.to_owned(),
            cluster,
            name,
            timeout,
            local: Vec::new(),
            last: None,
            forgotten_keys: Vec::new(),
            reinitialized: None,
            commit_topic_id: None,
            commit_topic_checked: Instant::now(),
            make_producer,
        }
    }

    /// Checks now and then that the commit topic is still the one that was read: one that was made anew holds no earlier
    /// decision.
    fn check_commit_topic(&mut self) -> Result<()> {
        // Brokers that gave no id at the beginning are not asked again.
        let Some(was) = self.commit_topic_id.filter(|_| self.commit_topic_checked.elapsed() >= TOPIC_ID_CHECK_INTERVAL)
        else {
            return Ok(());
        };
        self.commit_topic_checked = Instant::now();
        match self.producer.commit_topic_id() {
            Some(is) if is != was => Err(self.producer.commits_gone()),
            _ => Ok(()),
        }
    }

    fn records(&self, metadata: &[(String, Option<Vec<u8>>)], txn_id: u64) -> Vec<MetadataRecord> {
        let view = &self.reader.view;
        let record = |(key, value): &(String, Option<Vec<u8>>)| {
            let chunks_before = if value.is_none() { view.chunks(key) } else { 0 };
            metadata_records::records(&self.pipeline, key, value.as_deref(), txn_id, chunks_before)
        };
        metadata.iter().flat_map(record).collect()
    }

    /// Attempts a transaction. After failures, the last commit is verified before anything is aborted.
    fn attempt(&mut self, contents: &TransactionContents<'_>) -> Result<Attempt> {
        let (reader, last, producer) = (&mut self.reader, self.last, &mut self.producer);
        let (writer, monitor, timeout) = (&*self.writer, Arc::clone(&producer.monitor), self.timeout);
        let mut before_abort = || match last {
            Some((last, failures)) if monitor.failure_count() > failures => {
                verify_last_commit(reader, writer, last, timeout)
            }
            _ => Ok(()),
        };
        producer.decide(contents, &mut before_abort)
    }

    /// Has a transaction decided. Where the producer had to be replaced, reads the outcome from the commit topic.
    fn decide_or_learn(&mut self, id: u64, contents: &TransactionContents<'_>) -> Result<Decision> {
        let mut reinits = 0;
        while reinits < REINITS_MAX {
            let began = Instant::now();
            match self.attempt(contents)? {
                Attempt::Decided(decision) => return Ok(decision),
                Attempt::ProducerLost { error, refusal } => {
                    // A producer without an answer is replaced as often as it takes, like any wait for a broker.
                    reinits += u32::from(!error::is_no_answer(&error));
                    // A group that refuses has its own reason, and the failed abort is no sign of another process.
                    self.reinit(&error, refusal.is_some() || began.elapsed() >= self.timeout)?;
                    self.refresh()?;
                    if self.reader.last_number(&last_transaction_key(&self.writer)) == Some(id) {
                        return Ok(Decision::Committed);
                    }
                    if let Some(reason) = refusal {
                        return Ok(Decision::Refused { reason });
                    }
                }
            }
        }
        Err(Error::new("no transaction comes to its end").at(self.producer.id.clone()).help(
            "does it take longer than brokers let one last? `transactions = { timeout_secs = … }` of the stage gives more",
        ))
    }

    /// Replaces a producer that has failed for good; twice in a row only where it gave no answer, for two processes that
    /// replace each other in turn would never end.
    fn reinit(&mut self, error: &KafkaError, is_expected: bool) -> Result<()> {
        let monitor = Arc::clone(&self.producer.monitor);
        let (pipeline, stage) = (&*monitor.pipeline, &*monitor.stage);
        tracing::warn!(pipeline, stage, "the transactional producer is made anew: {error}");
        if let Some((last, _)) = self.last {
            // A new producer begins with an abort of what the old one left.
            verify_last_commit(&mut self.reader, &self.writer, last, self.timeout)?;
        }
        // Read before a new producer ends the transaction of another process with this name. The process that wrote last
        // goes on.
        let key = presence_key(&self.writer);
        let mut seen =
            self.reader.read(&key, Until::End, Some(self.timeout + TRANSACTION_SCAN_INTERVAL))?.unwrap_or_default();
        if seen.is_empty() && error::is_fenced(error) {
            // A process that has just taken this one's place reads the topic before it writes that it runs.
            std::thread::sleep(PRESENCE_TIMEOUT);
            seen =
                self.reader.read(&key, Until::End, Some(self.timeout + TRANSACTION_SCAN_INTERVAL))?.unwrap_or_default();
        }
        let is_replaced = seen.last().is_some_and(|last| !self.local.contains(last));
        let is_repeated = self.reinitialized.replace(Instant::now()).is_some_and(|at| at.elapsed() < self.timeout);
        // Another process of this name would have written that it runs; that brokers forget a producer is their own doing.
        let is_harmless = is_expected || error::is_no_answer(error) || error::is_forgotten(error);
        if is_replaced || (is_repeated && !is_harmless) {
            return Err(self.replaced().because(error.clone()));
        }
        self.producer.reinit()
    }

    fn replaced(&self) -> Error {
        Error::new(format!("another process decides commits as `{}`", self.producer.id)).help(
            "only one process may have a transactional id: end the other one; members of a group may each have another \
             `instance`, different pipelines need another `name`",
        )
    }
}

/// Checks that the last commit is still there. A broker that was killed may have lost its marker, and an abort would then
/// destroy it.
fn verify_last_commit(reader: &mut MetadataReader, writer: &str, last: u64, timeout: Duration) -> Result<()> {
    let key = last_transaction_key(writer);
    match reader.read(&key, Until::Number(last), Some(timeout + TRANSACTION_SCAN_INTERVAL))? {
        Some(_) => Ok(()),
        None => {
            alarm_open_transaction(&reader.monitor, "the topic of commits", timeout + TRANSACTION_SCAN_INTERVAL);
            Err(Error::new("the brokers have lost the end of the last commit (KAFKA-20734)").help(
                "undoing the next one would destroy it, so nothing more is decided: the next start has it decided again",
            ))
        }
    }
}

impl TransactionLog for TransactionSession {
    fn cluster_id(&self) -> &str {
        &self.cluster
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// Commits a number of its own and reads up to it. Readers of committed records come to that number only once every
    /// earlier transaction is decided.
    fn refresh(&mut self) -> Result<()> {
        let local: u64 = rand::random();
        let key = presence_key(&self.writer);
        // Before it is sent, for the answer to its commit may be lost.
        self.local.push(local);
        let mut reinits = 0;
        while reinits < REINITS_MAX {
            let presence = [(key.clone(), Some(local.to_le_bytes().to_vec()))];
            let metadata = (self.producer.commit_partition.topic(), self.records(&presence, local));
            let contents = TransactionContents::new(Vec::new(), metadata, None);
            match self.attempt(&contents)? {
                Attempt::Decided(_) => {
                    self.reader.read(&key, Until::Number(local), None)?;
                    return Ok(());
                }
                Attempt::ProducerLost { error, .. } => {
                    reinits += u32::from(!error::is_no_answer(&error));
                    self.reinit(&error, false)?;
                }
            }
        }
        Err(self.replaced())
    }

    fn metadata(&self) -> &CommitMetadata {
        self.reader.view.metadata()
    }

    fn decide(&mut self, transaction: &Transaction<'_>) -> Result<Decision> {
        let mut own = vec![(last_transaction_key(&self.writer), Some(transaction.id.to_le_bytes().to_vec()))];
        own.extend(self.forgotten_keys.iter().map(|key| (key.clone(), None)));
        let buffers = transaction.outputs.iter().map(|output| {
            output
                .downcast_ref::<RecordBuffer>()
                .ok_or_else(|| Error::bug("output that is no record buffer in a Kafka transaction"))
        });
        let fence = |token: &FencingToken| {
            let fence = Arc::clone(token).downcast::<GroupFence>();
            fence.map_err(|_| Error::bug("a fencing token that is no consumer group's"))
        };
        let fences: Vec<_> = transaction.fencing_tokens.iter().map(fence).collect::<Result<_>>()?;
        let list = offset_list(transaction.source_offsets.iter().map(|(id, end)| (id, *end)))?;
        let offsets = (!fences.is_empty()).then_some(FencedOffsets { list, fences });
        let mut records = self.records(&transaction.metadata, transaction.id);
        records.extend(self.records(&own, transaction.id));
        let metadata = (self.producer.commit_partition.topic(), records);
        let contents = TransactionContents::new(buffers.collect::<Result<_>>()?, metadata, offsets);
        self.check_commit_topic()?;
        let decision = self.decide_or_learn(transaction.id, &contents)?;
        if decision == Decision::Committed {
            self.reader.apply(&contents.metadata);
            self.forgotten_keys.clear();
            self.last = Some((transaction.id, self.producer.monitor.failure_count()));
        }
        Ok(decision)
    }

    fn forget_writers(&mut self, writers: &[String]) {
        self.forgotten_keys
            .extend(writers.iter().flat_map(|writer| [presence_key(writer), last_transaction_key(writer)]));
    }

    fn recover_writer(&mut self, writer: &str) -> Result<()> {
        // A producer with the id of that writer aborts or completes what the writer left.
        let other = (self.make_producer)(writer)?;
        if let Some(error) = other.init()? {
            return Err(Error::new("the user may not settle what another instance left").because(error));
        }
        drop(other);
        self.refresh()
    }
}
