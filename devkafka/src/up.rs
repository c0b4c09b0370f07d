//! `aqpipe kafka up`.

use std::thread;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};

use crate::args::UpArgs;
use crate::client::{Client, ClusterMetadata};
use crate::cluster::{Cluster, ClusterRequest};
use crate::console::Console;
use crate::data_dir::DataDir;
use crate::install::Install;
use crate::node::{Node, Runtime, StartedNode};
use crate::{java, ports};

/// Partitions of the topic, unless `--partitions` is given.
const DEFAULT_PARTITIONS: i32 = 3;
/// The brokers of the pipelines that ship, unless `KAFKA_BROKERS` is set.
const DEFAULT_BROKERS: &str = "localhost:9092";
/// How often brokers are asked whether they are ready.
const READY_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Starts the brokers that do not run, waits until all of them answer and creates the topic.
pub(crate) fn up(args: &UpArgs, console: &dyn Console) -> Result<()> {
    let data_dir = DataDir::create(&args.directory.dir)?;
    let _lock = data_dir.lock(console)?;
    let recorded = Cluster::load(&data_dir)?;
    let running =
        recorded.iter().flat_map(|cluster| Node::all(&data_dir, cluster)).any(|node| node.process().is_some());
    let request = ClusterRequest { port: args.port, brokers: args.brokers, properties: &args.properties };
    let cluster = Cluster::plan(recorded, request, running)?;
    let nodes = Node::all(&data_dir, &cluster);
    let mut startup = Startup { args, console, data_dir, cluster, nodes, runtime: None, started: Vec::new() };
    let ready = startup.wait_until_ready();
    let (client, metadata) = ready.inspect_err(|_| startup.undo())?;
    startup.report(&metadata);
    create_topic(&client, &startup.cluster, args, console)
}

/// A start in progress.
struct Startup<'a> {
    args: &'a UpArgs,
    console: &'a dyn Console,
    data_dir: DataDir,
    cluster: Cluster,
    nodes: Vec<Node>,
    /// Set when the first node has to be started.
    runtime: Option<Runtime>,
    started: Vec<StartedNode>,
}

impl Startup<'_> {
    /// Starts the brokers that do not run and waits until all of them answer.
    fn wait_until_ready(&mut self) -> Result<(Client, ClusterMetadata)> {
        let mut client = None;
        let mut last = String::from("no connection");
        self.start_missing()?;
        let deadline = deadline(self.args);
        loop {
            if let Some(error) = self.started.iter_mut().find_map(StartedNode::died) {
                return Err(error);
            }
            // A node that was killed just before may still have been alive at the last check.
            self.start_missing()?;
            if self.nodes.iter().all(|node| ports::answers(node.address.port)) {
                let connected = match client.take() {
                    Some(client) => client,
                    None => Client::new(&self.cluster.bootstrap())?,
                };
                match connected.metadata() {
                    // A killed broker stays registered until its session expires.
                    Ok(metadata)
                        if Node::are_registered(&self.nodes, &metadata)
                            && self.nodes.iter().all(|node| node.process().is_some()) =>
                    {
                        return Ok((connected, metadata));
                    }
                    Ok(metadata) => {
                        last = format!("{} of {} brokers are there", metadata.brokers.len(), self.nodes.len());
                    }
                    Err(error) => last = error.to_string(),
                }
                client = Some(connected);
            }
            if Instant::now() >= deadline {
                let message = format!("Apache Kafka at {} does not answer ({last})", self.cluster.bootstrap());
                return Err(match self.started.first() {
                    Some(started) => started.error(message),
                    None => Error::new(message).help("stop it with `aqpipe kafka down`, then start it again"),
                });
            }
            thread::sleep(READY_POLL_INTERVAL);
        }
    }

    /// Starts the nodes that neither run nor were started by this command.
    fn start_missing(&mut self) -> Result<()> {
        let started = |node: &Node| self.started.iter().any(|started| started.id == node.address.id);
        let missing: Vec<&Node> = self.nodes.iter().filter(|node| !started(node) && node.process().is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.iter().try_for_each(|node| ports::check_free(node.address.port))?;
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => Runtime {
                java: java::find()?,
                install: Install::find(self.args.kafka_home.as_deref(), self.args.cache_dir.as_deref(), self.console)?,
                heap_mib: self.args.heap,
            },
        };
        let runtime = self.runtime.insert(runtime);
        self.cluster.save(&self.data_dir)?;
        prepare(&missing, &self.nodes, &self.cluster, runtime)?;
        self.console.err(&format!("starting Apache Kafka {} at {}", runtime.install.version, self.cluster.bootstrap()));
        for node in missing {
            self.started.push(node.start(runtime)?);
        }
        Ok(())
    }

    /// Kills the nodes that were started, because a partial cluster would be in the way of the next start.
    fn undo(&mut self) {
        for started in &mut self.started {
            started.kill();
            self.nodes.iter().filter(|node| node.address.id == started.id).for_each(Node::forget_process);
        }
    }

    fn report(&self, metadata: &ClusterMetadata) {
        let pids: Vec<String> =
            self.nodes.iter().filter_map(Node::process).map(|process| process.pid.to_string()).collect();
        let what = match &self.runtime {
            Some(runtime) => format!("Apache Kafka {} is", runtime.install.version),
            None => "Apache Kafka is already".to_owned(),
        };
        self.console.out(&format!("{what} running at {} (pid {})", self.cluster.bootstrap(), pids.join(", ")));
        self.console.out(&format!("  cluster  {}", metadata.cluster_id.as_deref().unwrap_or("unknown")));
        self.console.out(&format!("  data     {}", self.data_dir.path().display()));
        let brokers = self.cluster.bootstrap().replace("127.0.0.1", "localhost");
        if brokers != DEFAULT_BROKERS {
            self.console.out(&format!("  use it   export KAFKA_BROKERS={brokers}"));
        }
    }
}

fn deadline(args: &UpArgs) -> Instant {
    Instant::now() + Duration::from_secs(args.timeout)
}

/// Configures the nodes to start, and formats the storage of those that have none.
fn prepare(missing: &[&Node], nodes: &[Node], cluster: &Cluster, runtime: &Runtime) -> Result<()> {
    missing.iter().try_for_each(|node| node.configure(cluster))?;
    // The id is kept in the storage alone, so that clients which know offsets of the old storage see new storage as
    // another cluster.
    let id = nodes.iter().find_map(Node::cluster_id).unwrap_or_else(new_cluster_id);
    let formats: Vec<_> =
        missing.iter().filter(|node| node.cluster_id().is_none()).map(|node| node.format(runtime, &id)).collect();
    for format in formats {
        let output = format?
            .wait_with_output()
            .map_err(|error| Error::new("cannot wait for the formatting of the storage").because(error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("\tat ")).take(8).collect();
            return Err(Error::new("the storage could not be formatted").lines(lines));
        }
    }
    Ok(())
}

/// 128 random bits in Kafka's notation: URL-safe base 64 without padding, without a hyphen at the beginning.
fn new_cluster_id() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: u128 = rand::random();
    let digit = |value: u128| char::from(DIGITS[(value & 63) as usize]);
    // 21 digits of 6 bits, and the last 2 bits at the upper end of the 22nd.
    let id: String = (0..21).map(|at| digit(bits >> (122 - 6 * at))).chain([digit(bits << 4)]).collect();
    if id.starts_with('-') { new_cluster_id() } else { id }
}

/// Creates the topic if it is missing and waits until it can be written.
fn create_topic(client: &Client, cluster: &Cluster, args: &UpArgs, console: &dyn Console) -> Result<()> {
    let deadline = deadline(args);
    let name = &args.topic;
    let partitions = args.partitions.unwrap_or(DEFAULT_PARTITIONS);
    let mut created = false;
    let mut last = String::from("no leader yet");
    loop {
        match client.metadata() {
            Ok(metadata) => match metadata.topic(name) {
                Some(topic) if topic.ready => {
                    let new = if created { ", created" } else { "" };
                    console.out(&format!("  topic    {name}, {} partition(s){new}", topic.partitions));
                    if args.partitions.is_some_and(|requested| usize::try_from(requested) != Ok(topic.partitions)) {
                        console.err(&format!("warning: topic `{name}` exists already and is left as it is"));
                    }
                    return Ok(());
                }
                Some(_) => {}
                None => match client.create_topic(name, partitions, cluster.replication()) {
                    Ok(()) => created = true,
                    Err(error) => last = error.to_string(),
                },
            },
            Err(error) => last = error.to_string(),
        }
        if Instant::now() >= deadline {
            return Err(Error::new(format!("topic `{name}` could not be created: {last}"))
                .help("the brokers run on; `aqpipe kafka status` shows them, and another `up` tries again"));
        }
        thread::sleep(READY_POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_id_is_22_digits_and_holds_128_bits() {
        for _ in 0..200 {
            let id = new_cluster_id();
            assert_eq!(id.len(), 22);
            assert!(!id.starts_with('-'));
            assert!(id.ends_with(['A', 'Q', 'g', 'w']), "{id}: the last digit holds two bits");
        }
        assert_ne!(new_cluster_id(), new_cluster_id());
    }
}
