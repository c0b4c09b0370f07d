//! `aqpipe kafka status`.

use std::process::ExitCode;

use aqpipe_engine::Result;

use super::args::StatusArgs;
use super::client::{Client, View};
use super::cluster::Cluster;
use super::home::Home;
use super::node::Node;
use super::{ports, up};
use crate::printer;

/// Says what runs in the directory. The exit code is 0 when every broker runs and answers.
pub(super) fn status(args: &StatusArgs) -> Result<ExitCode> {
    let home = Home::at(&args.place.dir)?;
    let Some(cluster) = Cluster::load(&home)? else {
        printer::out(&format!("Apache Kafka is not running: nothing was started in {}", home.path().display()));
        return Ok(ExitCode::FAILURE);
    };
    let nodes = Node::all(&home, &cluster);
    let running = nodes.iter().filter(|node| node.process().is_some()).count();
    // A client without a broker would wait for its whole time limit.
    let reachable = running > 0 && nodes.iter().any(|node| ports::answers(node.member.port));
    let view = if reachable { Client::new(&cluster.bootstrap())?.view().ok() } else { None };
    let well = running == nodes.len() && view.as_ref().is_some_and(|view| up::complete(view, &nodes));
    let headline = match (running, well) {
        (0, _) => "Apache Kafka is not running".to_owned(),
        (_, true) => format!("Apache Kafka is running at {}", cluster.bootstrap()),
        (running, false) if running < nodes.len() => format!("{running} of {} brokers are running", nodes.len()),
        _ => format!("Apache Kafka is running but does not answer at {}", cluster.bootstrap()),
    };
    printer::out(&headline);
    let id = nodes.iter().find_map(Node::cluster_id);
    printer::out(&format!("  cluster  {}", id.as_deref().unwrap_or("not formatted yet")));
    printer::out(&format!("  data     {}", home.path().display()));
    for node in &nodes {
        let state = node.process().map_or_else(|| "not running".to_owned(), |process| format!("pid {}", process.pid));
        printer::out(&format!("  broker {}  127.0.0.1:{}  {state}", node.member.id, node.member.port));
    }
    view.iter().for_each(topics);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn topics(view: &View) {
    // Kafka keeps its own records in topics with such names.
    for topic in view.topics.iter().filter(|topic| !topic.name.starts_with("__")) {
        let state = if topic.ready { "" } else { ", not every partition has a leader" };
        printer::out(&format!("  topic    {}, {} partition(s){state}", topic.name, topic.partitions));
    }
}
