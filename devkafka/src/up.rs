//! `aqpipe kafka up`.

use std::thread;
use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};

use super::args::UpArgs;
use super::client::{Client, View};
use super::cluster::{Cluster, Wish};
use super::home::Home;
use super::install::Install;
use super::node::{Node, Runtime, Started};
use super::{java, ports};
use crate::printer;

/// Partitions of the topic, unless a number is given.
const PARTITIONS: i32 = 3;
/// Where the pipelines that ship look for brokers, unless `KAFKA_BROKERS` says otherwise.
const DEFAULT_BROKERS: &str = "localhost:9092";
const POLL: Duration = Duration::from_millis(50);

/// Starts what is not running, waits until all of it answers and creates the topic.
pub(super) fn up(args: &UpArgs) -> Result<()> {
    let home = Home::create(&args.place.dir)?;
    let _lock = home.lock()?;
    let recorded = Cluster::load(&home)?;
    let running = recorded.iter().flat_map(|cluster| Node::all(&home, cluster)).any(|node| node.process().is_some());
    let wish = Wish { port: args.port, brokers: args.brokers, properties: &args.properties };
    let cluster = Cluster::plan(recorded, wish, running)?;
    let nodes = Node::all(&home, &cluster);
    let mut start = Start { args, home, cluster, nodes, runtime: None, started: Vec::new() };
    let ready = start.until_answer();
    let (client, view) = ready.inspect_err(|_| start.undo())?;
    start.report(&view);
    topic(&client, &start.cluster, args)
}

/// A start at work.
struct Start<'a> {
    args: &'a UpArgs,
    home: Home,
    cluster: Cluster,
    nodes: Vec<Node>,
    /// Found when the first node has to be started.
    runtime: Option<Runtime>,
    started: Vec<Started>,
}

impl Start<'_> {
    /// Starts what is not running and waits until every broker answers.
    fn until_answer(&mut self) -> Result<(Client, View)> {
        let mut client = None;
        let mut last = String::from("no connection");
        self.missing()?;
        let deadline = deadline(self.args);
        loop {
            if let Some(error) = self.started.iter_mut().find_map(Started::died) {
                return Err(error);
            }
            // A node that was killed just before may have looked alive a moment ago.
            self.missing()?;
            if self.nodes.iter().all(|node| ports::answers(node.member.port)) {
                let connected = match client.take() {
                    Some(client) => client,
                    None => Client::new(&self.cluster.bootstrap())?,
                };
                match connected.view() {
                    // The cluster lists a broker that was killed until its session expires.
                    Ok(view)
                        if complete(&view, &self.nodes) && self.nodes.iter().all(|node| node.process().is_some()) =>
                    {
                        return Ok((connected, view));
                    }
                    Ok(view) => last = format!("{} of {} brokers are there", view.brokers.len(), self.nodes.len()),
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
            thread::sleep(POLL);
        }
    }

    /// Starts the nodes that neither run nor were started before.
    fn missing(&mut self) -> Result<()> {
        let started = |node: &Node| self.started.iter().any(|started| started.id == node.member.id);
        let missing: Vec<&Node> = self.nodes.iter().filter(|node| !started(node) && node.process().is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.iter().try_for_each(|node| ports::check_free(node.member.port))?;
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => Runtime {
                java: java::find()?,
                install: Install::find(self.args.kafka_home.as_deref(), self.args.cache_dir.as_deref())?,
                heap_mib: self.args.heap,
            },
        };
        let runtime = self.runtime.insert(runtime);
        self.cluster.save(&self.home)?;
        prepare(&missing, &self.nodes, &self.cluster, runtime)?;
        printer::err(&format!("starting Apache Kafka {} at {}", runtime.install.version, self.cluster.bootstrap()));
        for node in missing {
            self.started.push(node.start(runtime)?);
        }
        Ok(())
    }

    /// Ends what was started: a half cluster would be in the way of the next try.
    fn undo(&mut self) {
        for started in &mut self.started {
            started.kill();
            self.nodes.iter().filter(|node| node.member.id == started.id).for_each(Node::forget_process);
        }
    }

    fn report(&self, view: &View) {
        let pids: Vec<String> =
            self.nodes.iter().filter_map(Node::process).map(|process| process.pid.to_string()).collect();
        let what = match &self.runtime {
            Some(runtime) => format!("Apache Kafka {} is", runtime.install.version),
            None => "Apache Kafka is already".to_owned(),
        };
        printer::out(&format!("{what} running at {} (pid {})", self.cluster.bootstrap(), pids.join(", ")));
        printer::out(&format!("  cluster  {}", view.cluster_id.as_deref().unwrap_or("unknown")));
        printer::out(&format!("  data     {}", self.home.path().display()));
        let brokers = self.cluster.bootstrap().replace("127.0.0.1", "localhost");
        if brokers != DEFAULT_BROKERS {
            printer::out(&format!("  use it   export KAFKA_BROKERS={brokers}"));
        }
    }
}

fn deadline(args: &UpArgs) -> Instant {
    Instant::now() + Duration::from_secs(args.timeout)
}

/// Configures the nodes to start, and formats the storage of those that have none.
fn prepare(missing: &[&Node], nodes: &[Node], cluster: &Cluster, runtime: &Runtime) -> Result<()> {
    missing.iter().try_for_each(|node| node.configure(cluster))?;
    // The storage itself is what remembers the cluster's id, so that new storage is a new cluster to everyone who
    // noted down positions in the old one.
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

/// 128 random bits as Kafka writes them: URL-safe base 64 without padding, not beginning with a hyphen.
fn new_cluster_id() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: u128 = rand::random();
    let digit = |value: u128| char::from(DIGITS[(value & 63) as usize]);
    // 21 digits of 6 bits, and the last 2 bits at the upper end of the 22nd.
    let id: String = (0..21).map(|at| digit(bits >> (122 - 6 * at))).chain([digit(bits << 4)]).collect();
    if id.starts_with('-') { new_cluster_id() } else { id }
}

/// Whether it is our own brokers that answered, and all of them.
pub(super) fn complete(view: &View, nodes: &[Node]) -> bool {
    let id = nodes.iter().find_map(Node::cluster_id);
    view.cluster_id == id && nodes.iter().all(|node| view.brokers.contains(&i32::from(node.member.id)))
}

/// Creates the topic if it is missing and waits until it can be written.
fn topic(client: &Client, cluster: &Cluster, args: &UpArgs) -> Result<()> {
    let deadline = deadline(args);
    let name = &args.topic;
    let partitions = args.partitions.unwrap_or(PARTITIONS);
    let mut created = false;
    let mut last = String::from("no leader yet");
    loop {
        match client.view() {
            Ok(view) => match view.topic(name) {
                Some(topic) if topic.ready => {
                    let new = if created { ", created" } else { "" };
                    printer::out(&format!("  topic    {name}, {} partition(s){new}", topic.partitions));
                    if args.partitions.is_some_and(|wished| usize::try_from(wished) != Ok(topic.partitions)) {
                        printer::err(&format!("warning: topic `{name}` was there before and is left as it is"));
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
        thread::sleep(POLL);
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
