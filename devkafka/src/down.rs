//! `aqpipe kafka down`.

use std::time::{Duration, Instant};

use aqpipe_engine::{Error, Result};

use crate::args::DownArgs;
use crate::cluster::Cluster;
use crate::console::Console;
use crate::data_dir::DataDir;
use crate::node::Node;
use crate::process::Signal;

/// How long a process may take to end after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Stops the brokers that `up` started in the directory.
pub(crate) fn down(args: &DownArgs, console: &dyn Console) -> Result<()> {
    let data_dir = DataDir::at(&args.directory.dir)?;
    let not_running = || console.out(&format!("Apache Kafka is not running in {}", data_dir.path().display()));
    if !data_dir.path().is_dir() {
        not_running();
        return Ok(());
    }
    let _lock = data_dir.lock(console)?;
    let Some(cluster) = Cluster::load(&data_dir)? else {
        not_running();
        return Ok(());
    };
    let nodes = Node::all(&data_dir, &cluster);
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
            console.err(&format!(
                "broker {} (pid {}) did not end within {} s: killing it",
                node.address.id, process.pid, args.timeout
            ));
            process.signal(Signal::KILL)?;
            if !process.wait_until(Instant::now() + KILL_TIMEOUT) {
                return Err(Error::new(format!("broker {} (pid {}) does not end", node.address.id, process.pid)));
            }
        }
        node.forget_process();
    }
    nodes.iter().for_each(Node::forget_process);
    console.out(&format!("Apache Kafka has stopped; its data stays in {}", data_dir.path().display()));
    Ok(())
}
