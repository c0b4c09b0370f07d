//! The topic that a Kafka sink writes, of records or of dead letters: in transactions where those decide commits, else at
//! least once by a producer of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::record::SplitId;
use aqpipe_engine::stage::{Acquire, BuildContext, Destination, Sink, TransactionalBackend, Writer};
use parking_lot::Mutex;

use super::connection_monitor::ConnectionMonitor;
use super::endpoint::KafkaEndpoint;
use super::producer::{ProducerHandle, SplitProducer};
use super::producer_config;
use super::topic_options::CreateTopic;
use super::transactions::{Participant, ParticipantKind, RecordBuffer, TransactionManager, TransactionOptions};

/// The options of a sink about its topic.
pub(crate) struct TargetOptions {
    pub(crate) topic: String,
    pub(crate) create_topic: Option<CreateTopic>,
    pub(crate) transactions: Option<TransactionOptions>,
    /// Properties of the producer that follow from the stage's options.
    pub(crate) producer_properties: BTreeMap<&'static str, String>,
}

/// Makes the writers of a sink, which turn its rows into records.
pub(crate) trait RecordFormat: Send + Sync + 'static {
    type Rows;
    /// The role of the sink.
    const KIND: ParticipantKind;

    /// A writer whose records wait for the transaction that decides their checkpoint.
    fn transactional_writer(&self, split: &SplitId, topic: TransactionalTopic) -> Box<dyn Writer<Self::Rows>>;

    /// A writer that sends its records at once.
    fn at_least_once_writer(&self, split: &SplitId, producer: SplitProducer) -> Box<dyn Writer<Self::Rows>>;
}

/// A topic that is written in transactions.
pub(crate) struct TransactionalTopic {
    transactions: Arc<TransactionManager>,
    topic: Arc<str>,
    /// The most bytes that key, value and headers of a record may have together.
    pub(crate) record_bytes_max: usize,
}

impl TransactionalTopic {
    /// An empty buffer, once there is room for another one.
    ///
    /// # Errors
    /// Where the run has abandoned its waits.
    pub(crate) fn buffer(&self) -> Result<RecordBuffer> {
        RecordBuffer::begin(&self.topic, &self.transactions.budget, self.transactions.cancellation())
    }

    /// Counts bytes that were put into a buffer of the topic.
    pub(crate) fn count_written(&self, bytes: usize) {
        self.transactions.count_written(bytes as u64);
    }

    /// An empty buffer that waits for no room.
    pub(crate) fn unbudgeted_buffer(&self) -> RecordBuffer {
        RecordBuffer::unbudgeted(&self.topic, &self.transactions.budget)
    }
}

/// A Kafka sink: a topic, and the format of its records.
pub(crate) struct KafkaTarget<F> {
    endpoint: KafkaEndpoint,
    options: TargetOptions,
    monitor: Arc<ConnectionMonitor>,
    transactions: Arc<TransactionManager>,
    cancellation: CancellationToken,
    /// Made once the topic is known to exist.
    producer: Mutex<Option<Arc<ProducerHandle>>>,
    format: F,
}

impl<F: RecordFormat> KafkaTarget<F> {
    /// Joins the transactions of the pipeline. Connects to nothing.
    ///
    /// # Errors
    /// Where the embedded broker refuses the topic.
    pub(crate) fn new(
        cx: &BuildContext,
        endpoint: KafkaEndpoint,
        options: TargetOptions,
        format: F,
    ) -> Result<KafkaTarget<F>> {
        endpoint.create_embedded_topic(&options.topic, options.create_topic)?;
        let transactions = TransactionManager::join(
            cx,
            Participant {
                kind: F::KIND,
                stage: Arc::clone(cx.stage()),
                endpoint: endpoint.clone(),
                producer_properties: options.producer_properties.clone(),
                output_topic: Some((options.topic.clone(), options.create_topic)),
                options: options.transactions.clone(),
            },
        );
        let monitor = Arc::new(endpoint.monitor(cx));
        let (cancellation, producer) = (cx.cancellation().child(), Mutex::default());
        Ok(KafkaTarget { endpoint, options, monitor, transactions, cancellation, producer, format })
    }

    /// The producer. The first call waits for the topic, and for a broker that answers.
    fn producer(&self) -> Result<Arc<ProducerHandle>> {
        let mut producer = self.producer.lock();
        if let Some(producer) = &*producer {
            return Ok(Arc::clone(producer));
        }
        let (endpoint, topic) = (&self.endpoint, &*self.options.topic);
        let client = endpoint.metadata_client(&self.monitor)?;
        endpoint.ensure_topic(&client, &self.monitor, topic, self.options.create_topic, &self.cancellation)?;
        let batch_bytes_max = endpoint.batch_bytes_max(&client, topic);
        let mut config = endpoint.client_config();
        producer_config::set_defaults(&mut config, batch_bytes_max.into_iter());
        for (name, value) in &self.options.producer_properties {
            config.set(*name, value);
        }
        endpoint.properties().apply(&mut config);
        let made =
            ProducerHandle::new(config, (topic, batch_bytes_max), endpoint, (&self.monitor, &self.cancellation))?;
        Ok(Arc::clone(producer.insert(Arc::new(made))))
    }
}

impl<F: RecordFormat> Acquire for KafkaTarget<F> {
    fn acquire(&self) -> Result<()> {
        // Where transactions commit, the topic was looked for already, and another producer writes to it.
        if self.transactions.record_bytes_max(&self.options.topic).is_some() {
            return Ok(());
        }
        self.producer().map(drop)
    }

    fn cluster_id(&self) -> Result<Option<String>> {
        self.endpoint.cluster_id(&self.monitor, &self.cancellation)
    }
}

impl<F: RecordFormat> Sink<F::Rows> for KafkaTarget<F> {
    fn open(&self, split: &SplitId, _: u64) -> Result<Box<dyn Writer<F::Rows>>> {
        let topic = &*self.options.topic;
        Ok(match self.transactions.record_bytes_max(topic) {
            Some(record_bytes_max) => {
                let transactions = Arc::clone(&self.transactions);
                let topic = TransactionalTopic { transactions, topic: topic.into(), record_bytes_max };
                self.format.transactional_writer(split, topic)
            }
            None => self.format.at_least_once_writer(split, SplitProducer::new(self.producer()?)),
        })
    }

    fn acquire(&self) -> Option<&dyn Acquire> {
        Some(self)
    }

    /// Dead letters may go anywhere: they do not tell one run from another.
    fn destination(&self) -> Option<Destination> {
        let name = format!("the topic `{}`", self.options.topic);
        (F::KIND == ParticipantKind::Sink).then(|| Destination { canonical: name.clone(), name })
    }

    fn transactional_backend(&self) -> Option<Arc<dyn TransactionalBackend>> {
        Some(Arc::clone(&self.transactions) as Arc<dyn TransactionalBackend>)
    }

    fn close(&self, until: Instant) -> Result<()> {
        // A thread that waits for a broker holds the lock, so it has to see this without it.
        let Some(producer) = self.producer.try_lock_until(until) else {
            self.cancellation.abandon();
            return Ok(());
        };
        producer.as_ref().map_or(Ok(()), |producer| producer.close(until))
    }
}
