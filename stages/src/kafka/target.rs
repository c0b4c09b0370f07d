//! Where the Kafka sink and the Kafka dead letter write to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aqpipe_engine::Result;
use parking_lot::Mutex;

use super::Embedded;
use super::client::{self, Connection, Watch};
use super::outbox::{self, Outbox};
use super::topics::{self, CreateTopic};

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

impl Target {
    /// The outbox; the first call looks for the topic, and waits for a broker that answers.
    pub(crate) fn outbox(&self) -> Result<Arc<Outbox>> {
        let mut outbox = self.outbox.lock();
        if let Some(outbox) = &*outbox {
            return Ok(Arc::clone(outbox));
        }
        let common = self.connection.common();
        if self.embedded.is_none() {
            topics::ensure(&common, &self.watch, &self.topic, self.create, &self.given_up)?;
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

    /// The id of the cluster, where there is one that outlives the run.
    pub(crate) fn cluster(&self) -> Result<Option<String>> {
        if self.embedded.is_some() {
            return Ok(None);
        }
        let looker = client::looker(&self.connection.common(), &self.watch)?;
        topics::await_cluster(&looker, &self.watch, &self.given_up).map(|(id, _)| Some(id))
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
