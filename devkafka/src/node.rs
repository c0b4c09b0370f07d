//! One broker: its directory, its configuration, its process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aqpipe_engine::{Error, Result};

use crate::client::ClusterMetadata;
use crate::cluster::{Cluster, NodeAddress};
use crate::data_dir::{DataDir, write_whole};
use crate::install::Install;
use crate::log_tail::LogTail;
use crate::process::Process;
use crate::properties;

/// The Java, the installation and the heap size to run brokers with.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) java: PathBuf,
    pub(crate) install: Install,
    pub(crate) heap_mib: u32,
}

/// One node and its directory.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: NodeAddress,
    dir: PathBuf,
}

/// A broker that this command has just started.
#[derive(Debug)]
pub(crate) struct StartedNode {
    pub(crate) id: u16,
    pub(crate) process: Process,
    child: Child,
    logs: [LogTail; 2],
}

impl Node {
    pub(crate) fn all(data_dir: &DataDir, cluster: &Cluster) -> Vec<Node> {
        cluster.nodes().map(|address| Node { address, dir: data_dir.node_dir(address.id) }).collect()
    }

    /// Whether the cluster is that of these nodes, and all of them are registered.
    pub(crate) fn are_registered(nodes: &[Node], metadata: &ClusterMetadata) -> bool {
        let id = nodes.iter().find_map(Node::cluster_id);
        metadata.cluster_id == id && nodes.iter().all(|node| metadata.brokers.contains(&i32::from(node.address.id)))
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn configuration(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join("pid")
    }

    /// The process of the last start, running or not.
    pub(crate) fn last_process(&self) -> Option<Process> {
        Process::load(&self.pid_file())
    }

    /// The broker's process, if it runs.
    pub(crate) fn process(&self) -> Option<Process> {
        self.last_process().filter(Process::is_alive)
    }

    /// Removes the file that names the process.
    pub(crate) fn forget_process(&self) {
        // A file that cannot be removed names a process that has ended, which every reader of it checks.
        let _ = fs::remove_file(self.pid_file());
    }

    /// The id of the cluster that the node's storage was formatted for.
    pub(crate) fn cluster_id(&self) -> Option<String> {
        let text = fs::read_to_string(self.data().join("meta.properties")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("cluster.id=")).map(|id| id.trim().to_owned())
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, cluster: &Cluster) -> Result<()> {
        let data = self.data();
        fs::create_dir_all(&data)
            .map_err(|error| Error::new(format!("cannot make the directory `{}`", data.display())).because(error))?;
        // Kafka splits its list of directories at commas.
        let data = data.to_str().filter(|data| !data.contains(',')).ok_or_else(|| {
            Error::new(format!("Kafka cannot keep records in `{}`", data.display()))
                .help("choose a `--dir` whose path is UTF-8 and has no comma")
        })?;
        write_whole(&self.configuration(), &properties::server(cluster, self.address, data))?;
        write_whole(&self.dir.join("log4j2.properties"), properties::LOG4J2)
    }

    /// Starts to format the storage for a cluster.
    pub(crate) fn format(&self, runtime: &Runtime, cluster_id: &str) -> Result<Child> {
        self.java(runtime, "format.log")
            .args(["kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id", cluster_id, "--config"])
            .arg(self.configuration())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| cannot_run(runtime, error))
    }

    /// Starts the broker as an independent process.
    pub(crate) fn start(&self, runtime: &Runtime) -> Result<StartedNode> {
        let logs = ["console.log", "broker.log"].map(|name| LogTail::after_now(self.dir.join(name)));
        let console = |path: &Path| -> io::Result<(File, File)> {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            Ok((file.try_clone()?, file))
        };
        let (stdout, stderr) = console(logs[0].path())
            .map_err(|error| Error::new(format!("cannot write `{}`", logs[0].path().display())).because(error))?;
        let child = self
            .java(runtime, "broker.log")
            .arg("kafka.Kafka")
            .arg(self.configuration())
            .stdout(stdout)
            .stderr(stderr)
            // A process group of its own, because Ctrl-C in a terminal signals the group of the command.
            .process_group(0)
            .spawn()
            .map_err(|error| cannot_run(runtime, error))?;
        let mut started = StartedNode {
            id: self.address.id,
            // A process that has ended already has no start time; `died` reports it.
            process: Process::with_pid(child.id()).unwrap_or_else(|| Process::ended(child.id())),
            child,
            logs,
        };
        if let Err(error) = started.process.save(&self.pid_file()) {
            // Without its file the broker could not be stopped later.
            started.kill();
            return Err(error);
        }
        Ok(started)
    }

    fn java(&self, runtime: &Runtime, log: &str) -> Command {
        let property = |name: &str, path: PathBuf| {
            let mut property = std::ffi::OsString::from(format!("-D{name}="));
            property.push(path);
            property
        };
        let heap = runtime.heap_mib;
        let mut command = Command::new(&runtime.java);
        command
            .args([&format!("-Xms{heap}m"), &format!("-Xmx{heap}m"), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"])
            .arg(property("log4j2.configurationFile", self.dir.join("log4j2.properties")))
            .arg(property("aqpipe.log", self.dir.join(log)))
            .arg("-cp")
            .arg(&runtime.install.class_path)
            .current_dir(&self.dir)
            .stdin(Stdio::null());
        command
    }
}

impl StartedNode {
    /// The error of a broker that has ended.
    pub(crate) fn died(&mut self) -> Option<Error> {
        let how = match self.child.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Some(self.error(format!("broker {} ended while it started ({how})", self.id)))
    }

    /// An error about this broker with the last lines of its log.
    pub(crate) fn error(&self, message: String) -> Error {
        let lines: Vec<String> = self.logs.iter().flat_map(LogTail::last_lines).collect();
        let error = Error::new(message).help(format!("the whole log is {}", self.logs[1].path().display()));
        if lines.is_empty() { error } else { error.because("its last lines:").lines(lines) }
    }

    /// Kills the broker.
    pub(crate) fn kill(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cannot_run(runtime: &Runtime, error: io::Error) -> Error {
    Error::new(format!("`{}` cannot be run", runtime.java.display())).because(error)
}
