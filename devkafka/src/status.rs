//! `aqpipe kafka status`.

use aqpipe_engine::Result;

use crate::args::StatusArgs;
use crate::client::{Client, ClusterMetadata};
use crate::cluster::Cluster;
use crate::console::Console;
use crate::data_dir::DataDir;
use crate::node::Node;
use crate::ports;

/// Prints what runs in the directory. Returns whether every broker runs and answers.
pub(crate) fn status(args: &StatusArgs, console: &dyn Console) -> Result<bool> {
    let data_dir = DataDir::at(&args.directory.dir)?;
    let Some(cluster) = Cluster::load(&data_dir)? else {
        console.out(&format!("Apache Kafka is not running: nothing was started in {}", data_dir.path().display()));
        return Ok(false);
    };
    let nodes = Node::all(&data_dir, &cluster);
    let running = nodes.iter().filter(|node| node.process().is_some()).count();
    // A client without a broker would wait for its whole timeout.
    let reachable = running > 0 && nodes.iter().any(|node| ports::answers(node.address.port));
    let metadata = if reachable { Client::new(&cluster.bootstrap())?.metadata().ok() } else { None };
    let healthy =
        running == nodes.len() && metadata.as_ref().is_some_and(|metadata| Node::are_registered(&nodes, metadata));
    let headline = match (running, healthy) {
        (0, _) => "Apache Kafka is not running".to_owned(),
        (_, true) => format!("Apache Kafka is running at {}", cluster.bootstrap()),
        (running, false) if running < nodes.len() => format!("{running} of {} brokers are running", nodes.len()),
        _ => format!("Apache Kafka is running but does not answer at {}", cluster.bootstrap()),
    };
    console.out(&headline);
    let id = nodes.iter().find_map(Node::cluster_id);
    console.out(&format!("  cluster  {}", id.as_deref().unwrap_or("not formatted yet")));
    console.out(&format!("  data     {}", data_dir.path().display()));
    for node in &nodes {
        let state = node.process().map_or_else(|| "not running".to_owned(), |process| format!("pid {}", process.pid));
        console.out(&format!("  broker {}  127.0.0.1:{}  {state}", node.address.id, node.address.port));
    }
    metadata.iter().for_each(|metadata| topics(metadata, console));
    Ok(healthy)
}

fn topics(metadata: &ClusterMetadata, console: &dyn Console) {
    // These are internal topics of Kafka.
    for topic in metadata.topics.iter().filter(|topic| !topic.name.starts_with("__")) {
        let state = if topic.ready { "" } else { ", not every partition has a leader" };
        console.out(&format!("  topic    {}, {} partition(s){state}", topic.name, topic.partitions));
    }
}
