//! Where the Kafka sink and the Kafka dead letter write to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext};

use super::Embedded;
use super::client::{Connection, Watch};
use super::outbox::{self, Outbox};
use super::topics::{self, CreateTopic, Waited};

/// A topic to write to, whose producer is made once the topic is known to be there.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) connection: Connection,
    pub(crate) topic: String,
    pub(crate) create: Option<CreateTopic>,
    pub(crate) own: BTreeMap<&'static str, String>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) embedded: Option<Arc<Embedded>>,
    pub(crate) given_up: Arc<AtomicBool>,
    pub(crate) outbox: Mutex<Option<Arc<Outbox>>>,
}

/// Passes on what a client says while it looks for a topic.
struct Looker(Arc<Watch>);

impl ClientContext for Looker {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.heard(&error, reason);
    }
}

impl ConsumerContext for Looker {}

impl Target {
    /// The outbox; the first call looks for the topic, and waits for a broker that answers.
    pub(crate) fn outbox(&self) -> Result<Arc<Outbox>> {
        let mut outbox = self.outbox.lock();
        if let Some(outbox) = &*outbox {
            return Ok(Arc::clone(outbox));
        }
        let common = self.connection.common();
        if self.embedded.is_none() {
            self.await_topic(&common)?;
        }
        // The embedded broker tells nothing of its topics.
        let largest = if self.embedded.is_some() { None } else { topics::largest_batch(&common, &self.topic) };
        let mut config = common;
        outbox::defaults(&mut config);
        if let Some(largest) = largest.filter(|largest| *largest > outbox::LARGEST) {
            // What the topic takes should not fail at a default of the client.
            config.set("message.max.bytes", largest.to_string());
        }
        for (name, value) in &self.own {
            config.set(*name, value);
        }
        self.connection.properties.apply(&mut config);
        let (watch, given_up) = (Arc::clone(&self.watch), Arc::clone(&self.given_up));
        let made = Outbox::new(config, &self.topic, largest, watch, self.embedded.clone(), given_up)?;
        Ok(Arc::clone(outbox.insert(Arc::new(made))))
    }

    fn await_topic(&self, common: &ClientConfig) -> Result<()> {
        let looker: BaseConsumer<Looker> = common
            .create_with_context(Looker(Arc::clone(&self.watch)))
            .map_err(|error| Error::config("cannot create a Kafka client").because(error))?;
        let client = looker.client();
        let stopping = || {
            // Why a broker does not answer is told to those who ask.
            let _ = looker.poll(Duration::ZERO);
            self.given_up.load(Ordering::SeqCst)
        };
        let wait = |make| topics::await_topic(client, &self.watch, &self.topic, make, &stopping);
        let mut waited = wait(self.create.is_some())?;
        if let (Waited::Missing, Some(create)) = (&waited, self.create) {
            topics::create(common, &self.topic, create)?;
            tracing::info!(
                pipeline = &*self.watch.pipeline,
                "created topic `{}` with {} partitions",
                self.topic,
                create.partitions
            );
            waited = wait(false)?;
        }
        match waited {
            Waited::There(_) => Ok(()),
            Waited::Missing => Err(topics::no_topic(&self.topic, true)),
            Waited::Stopped => Err(Error::new(format!("stopped while waiting for topic `{}`", self.topic))),
        }
    }

    /// Waits until everything is acknowledged, or gives up.
    pub(crate) fn close(&self, until: Instant) -> Result<()> {
        // Whoever waits for a broker holds the lock, so this has to be seen without it.
        let Some(outbox) = self.outbox.try_lock_until(until) else {
            self.given_up.store(true, Ordering::SeqCst);
            return Ok(());
        };
        outbox.as_ref().map_or(Ok(()), |outbox| outbox.close(until))
    }
}
