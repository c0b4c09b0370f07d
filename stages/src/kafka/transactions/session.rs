//! An open transaction log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqpipe_engine::stage::{CommitMetadata, Decision, Transaction, TransactionLog};
use aqpipe_engine::{Error, Result};
use aqpipe_librdkafka::TopicId;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::notes::{self, Record};
use super::parcel::Parcel;
use super::producer::{Contents, TransactionalProducer, Tried};
use super::reader::{Reader, Until, alarm, here_key, number_key};
use super::trouble;

/// How long brokers take to notice that a transaction has lasted too long.
pub(super) const SCAN: Duration = Duration::from_secs(10);

/// How long a process may take from its beginning until it has said that it is there.
const SAYS_SO: Duration = Duration::from_secs(1);

/// How often the topic of commits is looked at.
const COMPARE: Duration = Duration::from_secs(30);

/// How often one transaction is begun with another producer after one that said why it became useless: such a reason
/// does not go away.
const RENEWALS_MOST: u32 = 5;

/// The membership in a consumer group at the time of an assignment: brokers take no offsets of a member that has been
/// replaced since.
pub(crate) struct GroupFence(pub(crate) ConsumerGroupMetadata);

/// Makes a producer for another writer of the pipeline.
pub(super) type Another = Box<dyn Fn(&str) -> Result<TransactionalProducer> + Send>;

pub(super) struct Session {
    pub(super) producer: TransactionalProducer,
    pub(super) reader: Reader,
    pub(super) pipeline: String,
    pub(super) writer: String,
    pub(super) cluster: String,
    pub(super) name: String,
    /// How long brokers let a transaction last.
    pub(super) timeout: Duration,
    /// What this process noted to say that it is there: another number means another process of the same name.
    here: Vec<u64>,
    /// The last transaction of this process, and how much trouble there had been by then.
    last: Option<(u64, u64)>,
    /// Keys of writers that are forgotten, to be removed with the next transaction.
    bygone: Vec<String>,
    /// When the producer was last made anew.
    renewed: Option<Instant>,
    /// The id of the topic of commits, where the brokers give it one, and when it was last compared.
    notes_id: Option<TopicId>,
    compared: Instant,
    pub(super) another: Another,
}

impl Session {
    /// Reads what there is, so that what comes later can be told from it.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.reader.read(&here_key(&self.writer), Until::End, None)?;
        self.refresh()?;
        // Behind it: until it is noted that this process is there, another one of its name may take it for one that has died.
        self.notes_id = self.producer.id_of_notes();
        Ok(())
    }

    pub(super) fn new(
        (producer, reader): (TransactionalProducer, Reader),
        (pipeline, writer, cluster): (&str, &str, String),
        timeout: Duration,
        another: Another,
    ) -> Session {
        let name = format!("a Kafka transaction of `{}`", producer.id);
        Session {
            producer,
            reader,
            pipeline: pipeline.to_owned(),
            writer: writer.to_owned(),
            cluster,
            name,
            timeout,
            here: Vec::new(),
            last: None,
            bygone: Vec::new(),
            renewed: None,
            notes_id: None,
            compared: Instant::now(),
            another,
        }
    }

    /// Looks now and then whether the topic of commits is still the one that was read: one that was made anew knows
    /// nothing of what was decided before.
    fn compare(&mut self) -> Result<()> {
        // Brokers that gave no id at the beginning are not asked again.
        let Some(was) = self.notes_id.filter(|_| self.compared.elapsed() >= COMPARE) else { return Ok(()) };
        self.compared = Instant::now();
        match self.producer.id_of_notes() {
            Some(is) if is != was => Err(self.producer.commits_gone()),
            _ => Ok(()),
        }
    }

    fn records(&self, notes: &[(String, Option<Vec<u8>>)], stamp: u64) -> Vec<Record> {
        let shelf = &self.reader.shelf;
        let record = |(key, value): &(String, Option<Vec<u8>>)| {
            notes::records(&self.pipeline, key, value.as_deref(), stamp, shelf.chunks(key))
        };
        notes.iter().flat_map(record).collect()
    }

    /// Makes a transaction; before one is undone, the last commit is looked for where there was trouble since.
    fn attempt(&mut self, contents: &Contents<'_>) -> Result<Tried> {
        let (reader, last, producer) = (&mut self.reader, self.last, &mut self.producer);
        let (writer, watch, timeout) = (&*self.writer, Arc::clone(&producer.watch), self.timeout);
        let mut before_undo = || match last {
            Some((last, troubles)) if watch.troubles() > troubles => is_kept(reader, writer, last, timeout),
            _ => Ok(()),
        };
        producer.decide(contents, &mut before_undo)
    }

    /// Has a transaction decided, and learns what became of it where the producer had to be made anew.
    fn make(&mut self, id: u64, contents: &Contents<'_>) -> Result<Decision> {
        let mut renewals = 0;
        while renewals < RENEWALS_MOST {
            let began = Instant::now();
            match self.attempt(contents)? {
                Tried::Decided(decision) => return Ok(decision),
                Tried::Unknown(error) => {
                    // Silence is waited out as any broker's absence is, with pauses that grow.
                    renewals += u32::from(!trouble::is_no_answer(&error));
                    self.renew(&error, began.elapsed() >= self.timeout)?;
                    self.refresh()?;
                    if self.reader.found(&number_key(&self.writer)) == Some(id) {
                        return Ok(Decision::Committed);
                    }
                }
            }
        }
        Err(Error::new("no transaction comes to its end").at(self.producer.id.clone()).help(
            "does it take longer than brokers let one last? `transactions = { timeout_secs = … }` of the stage gives more",
        ))
    }

    /// Another producer in place of one that became useless. Twice in a row only where the other one was silent: two
    /// processes that take each other's place in turn never end.
    fn renew(&mut self, error: &KafkaError, stalled: bool) -> Result<()> {
        let watch = Arc::clone(&self.producer.watch);
        let (pipeline, stage) = (&*watch.pipeline, &*watch.stage);
        tracing::warn!(pipeline, stage, "the transactional producer is made anew: {error}");
        if let Some((last, _)) = self.last {
            // What another producer begins with is an undo.
            is_kept(&mut self.reader, &self.writer, last, self.timeout)?;
        }
        // Looked at before another producer would end what a process of the same name is doing. Whoever said last that it
        // is there goes on.
        let key = here_key(&self.writer);
        let mut seen = self.reader.read(&key, Until::End, Some(self.timeout + SCAN))?.unwrap_or_default();
        if seen.is_empty() && trouble::is_fenced(error) {
            // Whoever has just taken this one's place reads what was noted before it says that it is there.
            std::thread::sleep(SAYS_SO);
            seen = self.reader.read(&key, Until::End, Some(self.timeout + SCAN))?.unwrap_or_default();
        }
        let is_replaced = seen.last().is_some_and(|last| !self.here.contains(last));
        let again = self.renewed.replace(Instant::now()).is_some_and(|at| at.elapsed() < self.timeout);
        // Another process of this name would have said that it is there; forgetting is the brokers' own.
        let is_harmless = stalled || trouble::is_no_answer(error) || trouble::is_forgotten(error);
        if is_replaced || (again && !is_harmless) {
            return Err(self.replaced().because(error.clone()));
        }
        self.producer.renew()
    }

    fn replaced(&self) -> Error {
        Error::new(format!("another process decides commits as `{}`", self.producer.id)).help(
            "only one process may have a transactional id: end the other one; members of a group may each have another \
             `instance`, different pipelines need another `name`",
        )
    }
}

/// Whether the last commit is still there: a broker that was killed may have lost its end, and an undo would then
/// destroy it.
fn is_kept(reader: &mut Reader, writer: &str, last: u64, timeout: Duration) -> Result<()> {
    let key = number_key(writer);
    match reader.read(&key, Until::Number(last), Some(timeout + SCAN))? {
        Some(_) => Ok(()),
        None => {
            alarm(&reader.watch, "the topic of commits", timeout + SCAN);
            Err(Error::new("the brokers have lost the end of the last commit (KAFKA-20734)").help(
                "undoing the next one would destroy it, so nothing more is decided: the next start has it decided again",
            ))
        }
    }
}

impl TransactionLog for Session {
    fn cluster_id(&self) -> &str {
        &self.cluster
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// What is read behind a transaction of one's own was decided before it: readers of committed records come to it
    /// only once everything before is decided.
    fn refresh(&mut self) -> Result<()> {
        let here: u64 = rand::random();
        let key = here_key(&self.writer);
        // Before it is sent: that it was decided may not be heard.
        self.here.push(here);
        let mut renewals = 0;
        while renewals < RENEWALS_MOST {
            let note = [(key.clone(), Some(here.to_le_bytes().to_vec()))];
            let contents = Contents { parcels: Vec::new(), notes: self.records(&note, here), offsets: None };
            match self.attempt(&contents)? {
                Tried::Decided(_) => {
                    self.reader.read(&key, Until::Number(here), None)?;
                    return Ok(());
                }
                Tried::Unknown(error) => {
                    renewals += u32::from(!trouble::is_no_answer(&error));
                    self.renew(&error, false)?;
                }
            }
        }
        Err(self.replaced())
    }

    fn metadata(&self) -> &CommitMetadata {
        self.reader.shelf.notes()
    }

    fn decide(&mut self, transaction: &Transaction<'_>) -> Result<Decision> {
        let mut all = transaction.metadata.clone();
        all.push((number_key(&self.writer), Some(transaction.id.to_le_bytes().to_vec())));
        all.extend(self.bygone.iter().map(|key| (key.clone(), None)));
        let parcels = transaction.outputs.iter().map(|output| {
            output.downcast_ref::<Parcel>().ok_or_else(|| Error::bug("output that is no parcel in a Kafka transaction"))
        });
        let offsets = match &transaction.fencing_token {
            None => None,
            Some(fence) => {
                let Ok(group) = Arc::clone(fence).downcast::<GroupFence>() else {
                    return Err(Error::bug("a fence that is no consumer group's"));
                };
                Some((offsets(&transaction.source_offsets)?, group))
            }
        };
        let records = self.records(&all, transaction.id);
        let contents = Contents { parcels: parcels.collect::<Result<_>>()?, notes: records, offsets };
        self.compare()?;
        let decision = self.make(transaction.id, &contents)?;
        if decision == Decision::Committed {
            self.reader.put(&contents.notes);
            self.bygone.clear();
            self.last = Some((transaction.id, self.producer.watch.troubles()));
        }
        Ok(decision)
    }

    fn forget_writers(&mut self, writers: &[String]) {
        self.bygone.extend(writers.iter().flat_map(|writer| [here_key(writer), number_key(writer)]));
    }

    fn recover_writer(&mut self, writer: &str) -> Result<()> {
        // To begin with transactions as that writer ends what it left.
        let other = (self.another)(writer)?;
        if let Some(error) = other.init()? {
            return Err(Error::new("the user may not settle what another instance left").because(error));
        }
        drop(other);
        self.refresh()
    }
}

fn offsets(ends: &[(aqpipe_engine::record::SplitId, u64)]) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(ends.len());
    for (split, end) in ends {
        let partition = split.rsplit_once('/').and_then(|(topic, partition)| Some((topic, partition.parse().ok()?)));
        let (topic, partition) = partition.ok_or_else(|| Error::bug(format!("`{split}` is not a partition")))?;
        let offset = i64::try_from(*end).map_err(|_| Error::new("an offset too large").at(&**split))?;
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .map_err(|error| Error::bug("an offset that cannot be listed").because(error))?;
    }
    Ok(list)
}
