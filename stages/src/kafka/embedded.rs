//! Kafka inside this process: librdkafka's own mock cluster, for trying things without a broker.

use std::collections::HashSet;
use std::sync::mpsc;
use std::thread::JoinHandle;

use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use rdkafka::mocking::MockCluster;

use super::flow_control::FlowControl;

/// A Kafka broker in the memory of this process: gone at exit, and not for production.
///
/// It speaks Kafka's protocol on a port of the loopback interface, keeps about 5 MB a partition and drops what is
/// older without a word. So that nothing is lost, the Kafka sinks of a run that has one in
/// `BuildContext::process_extensions` are held back until the sources of the run have read,
/// and those sources stop at any gap in the offsets. Both connect to it, whatever their `brokers` say.
#[derive(Debug)]
pub struct EmbeddedBroker {
    servers: String,
    commands: Mutex<Option<mpsc::Sender<Create>>>,
    topics: Mutex<HashSet<String>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) flow_control: FlowControl,
}

struct Create {
    topic: String,
    partitions: i32,
    done: mpsc::Sender<Result<(), String>>,
}

impl EmbeddedBroker {
    /// Starts a broker.
    ///
    /// # Errors
    /// Where no port is free.
    pub fn start() -> Result<EmbeddedBroker> {
        let failed = |why: String| Error::new("the embedded broker did not start").because(why);
        let (commands, requests) = mpsc::channel();
        let (ready, servers) = mpsc::channel();
        // The cluster belongs to one thread: its handle cannot be sent to another.
        let thread = std::thread::Builder::new()
            .name("embedded broker".to_owned())
            .spawn(move || serve(&ready, &requests))
            .map_err(|error| failed(error.to_string()))?;
        let servers = servers.recv().map_err(|error| failed(error.to_string()))?.map_err(failed)?;
        Ok(EmbeddedBroker {
            servers,
            commands: Mutex::new(Some(commands)),
            topics: Mutex::default(),
            thread: Some(thread),
            flow_control: FlowControl::default(),
        })
    }

    /// The address that it listens on, in the form of the option `brokers`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.servers
    }

    /// Creates a topic. One that exists stays as it is.
    ///
    /// # Errors
    /// Where the broker refuses.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let failed =
            |why: String| Error::new(format!("the embedded broker did not create topic `{name}`")).because(why);
        // Held until the topic exists, so that a second caller finds it.
        let mut topics = self.topics.lock();
        if topics.contains(name) {
            return Ok(());
        }
        let (done, answer) = mpsc::channel();
        let create = Create { topic: name.to_owned(), partitions, done };
        let sent = self.commands.lock().as_ref().is_some_and(|commands| commands.send(create).is_ok());
        if !sent {
            return Err(failed("it has ended".to_owned()));
        }
        answer.recv().map_err(|error| failed(error.to_string()))?.map_err(failed)?;
        topics.insert(name.to_owned());
        Ok(())
    }

    /// A consumer group of this run reads a topic: writers wait for it.
    pub fn register_reader(&self, topic: &str, group: &str) {
        self.flow_control.register_reader(topic, group);
    }

    /// The group has stopped reading the topic.
    pub fn forget_reader(&self, topic: &str, group: &str) {
        self.flow_control.forget_reader(topic, group);
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.commands.lock().take();
        if let Some(thread) = self.thread.take() {
            // It ends once the channel is closed; that it panicked has been printed.
            let _ = thread.join();
        }
    }
}

fn serve(ready: &mpsc::Sender<Result<String, String>>, requests: &mpsc::Receiver<Create>) {
    let cluster = match MockCluster::new(1) {
        Ok(cluster) => cluster,
        Err(error) => {
            let _ = ready.send(Err(error.to_string()));
            return;
        }
    };
    if ready.send(Ok(cluster.bootstrap_servers())).is_err() {
        return;
    }
    for Create { topic, partitions, done } in requests {
        let _ = done.send(cluster.create_topic(&topic, partitions, 1).map_err(|error| error.to_string()));
    }
}
