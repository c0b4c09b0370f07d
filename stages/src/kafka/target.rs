//! Where the Kafka sink and the Kafka dead letter write to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aqpipe_engine::Result;
use parking_lot::Mutex;

use super::EmbeddedBroker;
use super::client::{self, Connection, ConnectionMonitor};
use super::producer::{self, ProducerHandle};
use super::topics::{self, CreateTopic};

/// A topic to write to, whose producer is made once the topic is known to be there.
#[derive(Debug)]
pub(crate) struct KafkaTarget {
    pub(crate) connection: Connection,
    pub(crate) topic: String,
    pub(crate) create: Option<CreateTopic>,
    pub(crate) producer_properties: BTreeMap<&'static str, String>,
    pub(crate) monitor: Arc<ConnectionMonitor>,
    pub(crate) embedded: Option<Arc<EmbeddedBroker>>,
    pub(crate) is_abandoned: Arc<AtomicBool>,
    pub(crate) producer: Mutex<Option<Arc<ProducerHandle>>>,
}

impl KafkaTarget {
    /// The outbox; the first call looks for the topic, and waits for a broker that answers.
    pub(crate) fn producer(&self) -> Result<Arc<ProducerHandle>> {
        let mut producer = self.producer.lock();
        if let Some(producer) = &*producer {
            return Ok(Arc::clone(producer));
        }
        let common = self.connection.common();
        if self.embedded.is_none() {
            topics::ensure(&common, &self.monitor, &self.topic, self.create, &self.is_abandoned)?;
        }
        // The embedded broker tells nothing of its topics.
        let largest = if self.embedded.is_some() { None } else { topics::batch_bytes_max(&common, &self.topic) };
        let mut config = common;
        producer::defaults(&mut config);
        if let Some(largest) = largest.filter(|largest| *largest > producer::REQUEST_BYTES_DEFAULT) {
            // What the topic takes should not fail at a default of the client.
            config.set("message.max.bytes", largest.to_string());
        }
        for (name, value) in &self.producer_properties {
            config.set(*name, value);
        }
        self.connection.properties.apply(&mut config);
        let (monitor, is_abandoned) = (Arc::clone(&self.monitor), Arc::clone(&self.is_abandoned));
        let made = ProducerHandle::new(config, &self.topic, largest, monitor, self.embedded.clone(), is_abandoned)?;
        Ok(Arc::clone(producer.insert(Arc::new(made))))
    }

    /// The id of the cluster, where there is one that outlives the run.
    pub(crate) fn cluster(&self) -> Result<Option<String>> {
        if self.embedded.is_some() {
            return Ok(None);
        }
        let metadata_client = client::metadata_client(&self.connection.common(), &self.monitor)?;
        topics::await_cluster(&metadata_client, &self.monitor, &self.is_abandoned).map(|(id, _)| Some(id))
    }

    /// Waits until everything is acknowledged, or gives up.
    pub(crate) fn close(&self, until: Instant) -> Result<()> {
        // Whoever waits for a broker holds the lock, so this has to be seen without it.
        let Some(producer) = self.producer.try_lock_until(until) else {
            self.is_abandoned.store(true, Ordering::SeqCst);
            return Ok(());
        };
        producer.as_ref().map_or(Ok(()), |producer| producer.close(until))
    }
}
