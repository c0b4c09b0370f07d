//! `aqpipe kafka down`.

use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};

use super::args::DownArgs;
use super::cluster::Cluster;
use super::home::Home;
use super::node::Node;
use super::process::Signal;
use crate::printer;

/// How long a process may take to end after SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// Stops the brokers that `up` started in the directory.
pub(super) fn down(args: &DownArgs) -> Result<()> {
    let home = Home::at(&args.place.dir)?;
    let not_running = || printer::out(&format!("Apache Kafka is not running in {}", home.path().display()));
    if !home.path().is_dir() {
        not_running();
        return Ok(());
    }
    let _lock = home.lock()?;
    let Some(cluster) = Cluster::load(&home)? else {
        not_running();
        return Ok(());
    };
    let nodes = Node::all(&home, &cluster);
    let running: Vec<_> = nodes.iter().filter_map(|node| Some((node, node.process()?))).collect();
    if running.is_empty() {
        nodes.iter().for_each(Node::forget_process);
        not_running();
        return Ok(());
    }
    running.iter().try_for_each(|(_, process)| process.signal(Signal::TERM))?;
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    for (node, process) in &running {
        if !process.wait_until(deadline) {
            printer::err(&format!(
                "broker {} (pid {}) did not end within {} s: killing it",
                node.member.id, process.pid, args.timeout
            ));
            process.signal(Signal::KILL)?;
            if !process.wait_until(Instant::now() + KILL_WAIT) {
                return Err(Error::new(format!("broker {} (pid {}) does not end", node.member.id, process.pid)));
            }
        }
        node.forget_process();
    }
    nodes.iter().for_each(Node::forget_process);
    printer::out(&format!("Apache Kafka has stopped; its data stays in {}", home.path().display()));
    Ok(())
}
