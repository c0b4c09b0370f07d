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
    let missing: Vec<&Node> = nodes.iter().filter(|node| node.process().is_none()).collect();

    let deadline = |secs| Instant::now() + Duration::from_secs(secs);
    let mut started = Vec::new();
    let mut version = None;
    if !missing.is_empty() {
        missing.iter().try_for_each(|node| ports::check_free(node.member.port))?;
        let runtime = Runtime {
            java: java::find()?,
            install: Install::find(args.kafka_home.as_deref(), args.cache_dir.as_deref())?,
            heap_mib: args.heap,
        };
        cluster.save(&home)?;
        prepare(&missing, &nodes, &cluster, &runtime)?;
        printer::err(&format!("starting Apache Kafka {} at {}", runtime.install.version, cluster.bootstrap()));
        for node in &missing {
            match node.start(&runtime) {
                Ok(node) => started.push(node),
                Err(error) => {
                    stop(&mut started, &nodes);
                    return Err(error);
                }
            }
        }
        version = Some(runtime.install.version);
    }
    let ready = answer(&nodes, &cluster, &mut started, deadline(args.timeout));
    let (client, view) = ready.inspect_err(|_| stop(&mut started, &nodes))?;
    report(&home, &cluster, &nodes, &view, version.as_deref());
    topic(&client, &cluster, args, deadline(args.timeout))
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
            return Err(Error::new("the storage could not be formatted").because(lines.join("\n  ")));
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

/// Waits until every broker answers.
fn answer(nodes: &[Node], cluster: &Cluster, started: &mut [Started], deadline: Instant) -> Result<(Client, View)> {
    let mut client = None;
    let mut last = String::from("no connection");
    loop {
        if let Some(error) = started.iter_mut().find_map(Started::died) {
            return Err(error);
        }
        if nodes.iter().all(|node| ports::answers(node.member.port)) {
            let connected = match client.take() {
                Some(client) => client,
                None => Client::new(&cluster.bootstrap())?,
            };
            match connected.view() {
                Ok(view) if complete(&view, nodes) => return Ok((connected, view)),
                Ok(view) => last = format!("{} of {} brokers are there", view.brokers.len(), nodes.len()),
                Err(error) => last = error.to_string(),
            }
            client = Some(connected);
        }
        if Instant::now() >= deadline {
            let message = format!("Apache Kafka at {} does not answer ({last})", cluster.bootstrap());
            return Err(match started.first() {
                Some(started) => started.error(message),
                None => Error::new(message).help("stop it with `aqpipe kafka down`, then start it again"),
            });
        }
        thread::sleep(POLL);
    }
}

/// Whether it is our own brokers that answered, and all of them.
pub(super) fn complete(view: &View, nodes: &[Node]) -> bool {
    let id = nodes.iter().find_map(Node::cluster_id);
    view.cluster_id == id && nodes.iter().all(|node| view.brokers.contains(&i32::from(node.member.id)))
}

/// Ends what this call started: a half cluster would be in the way of the next try.
fn stop(started: &mut [Started], nodes: &[Node]) {
    for started in started {
        started.kill();
        nodes.iter().filter(|node| node.member.id == started.id).for_each(Node::forget_process);
    }
}

fn report(home: &Home, cluster: &Cluster, nodes: &[Node], view: &View, version: Option<&str>) {
    let pids: Vec<String> = nodes.iter().filter_map(Node::process).map(|process| process.pid.to_string()).collect();
    let what =
        version.map_or_else(|| "Apache Kafka is already".to_owned(), |version| format!("Apache Kafka {version} is"));
    printer::out(&format!("{what} running at {} (pid {})", cluster.bootstrap(), pids.join(", ")));
    printer::out(&format!("  cluster  {}", view.cluster_id.as_deref().unwrap_or("unknown")));
    printer::out(&format!("  data     {}", home.path().display()));
}

/// Creates the topic if it is missing and waits until it can be written.
fn topic(client: &Client, cluster: &Cluster, args: &UpArgs, deadline: Instant) -> Result<()> {
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
