//! One broker: its directory, its configuration, its process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aqpipe_engine::{Error, Result};

use super::cluster::{Cluster, Member};
use super::home::{Home, write_whole};
use super::install::Install;
use super::log_tail::LogTail;
use super::process::Process;
use super::properties;

/// How to run a program of Kafka.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) java: PathBuf,
    pub(super) install: Install,
    pub(super) heap_mib: u32,
}

/// One node and its directory.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) member: Member,
    dir: PathBuf,
}

/// A broker that was just started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) id: u16,
    pub(super) process: Process,
    child: Child,
    logs: [LogTail; 2],
}

impl Node {
    pub(super) fn all(home: &Home, cluster: &Cluster) -> Vec<Node> {
        cluster.members().map(|member| Node { member, dir: home.node_dir(member.id) }).collect()
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

    /// The process that the last start left here, running or not.
    pub(super) fn last_process(&self) -> Option<Process> {
        Process::load(&self.pid_file())
    }

    /// The broker's process, if it runs.
    pub(super) fn process(&self) -> Option<Process> {
        self.last_process().filter(Process::is_alive)
    }

    /// Forgets the process.
    pub(super) fn forget_process(&self) {
        // A file that stays names a process that has ended, which is found out wherever it is read.
        let _ = fs::remove_file(self.pid_file());
    }

    /// The cluster that the node's storage was formatted for.
    pub(super) fn cluster_id(&self) -> Option<String> {
        let text = fs::read_to_string(self.data().join("meta.properties")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("cluster.id=")).map(|id| id.trim().to_owned())
    }

    /// Writes the configuration.
    pub(super) fn configure(&self, cluster: &Cluster) -> Result<()> {
        let data = self.data();
        fs::create_dir_all(&data)
            .map_err(|error| Error::new(format!("cannot make the directory `{}`", data.display())).because(error))?;
        // Kafka takes a list of directories, separated by commas and trimmed.
        let data = data.to_str().filter(|data| !data.contains(',')).ok_or_else(|| {
            Error::new(format!("Kafka cannot keep records in `{}`", data.display()))
                .help("choose a `--dir` whose path is UTF-8 and has no comma")
        })?;
        write_whole(&self.configuration(), &properties::server(cluster, self.member, data))?;
        write_whole(&self.dir.join("log4j2.properties"), properties::LOG4J2)
    }

    /// Begins to format the storage for a cluster.
    pub(super) fn format(&self, runtime: &Runtime, cluster_id: &str) -> Result<Child> {
        self.java(runtime, "format.log")
            .args(["kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id", cluster_id, "--config"])
            .arg(self.configuration())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| cannot_run(runtime, error))
    }

    /// Starts the broker, which from then on depends on nothing of this process.
    pub(super) fn start(&self, runtime: &Runtime) -> Result<Started> {
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
            // A group of its own: Ctrl-C in the terminal goes to the group of the command that runs there.
            .process_group(0)
            .spawn()
            .map_err(|error| cannot_run(runtime, error))?;
        let mut started = Started {
            id: self.member.id,
            // A process that has ended already has no start time; `died` tells of it.
            process: Process::with_pid(child.id()).unwrap_or_else(|| Process::ended(child.id())),
            child,
            logs,
        };
        if let Err(error) = started.process.save(&self.pid_file()) {
            // Without its file nobody could stop it later.
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

impl Started {
    /// Why the broker is not running any more, if it is not.
    pub(super) fn died(&mut self) -> Option<Error> {
        let how = match self.child.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Some(self.error(format!("broker {} ended while it started ({how})", self.id)))
    }

    /// An error about this broker, with the last it said.
    pub(super) fn error(&self, message: String) -> Error {
        let lines: Vec<String> = self.logs.iter().flat_map(LogTail::last_lines).collect();
        let error = Error::new(message).help(format!("all of it is in {}", self.logs[1].path().display()));
        if lines.is_empty() { error } else { error.because("its last lines:").lines(lines) }
    }

    /// Ends the broker at once.
    pub(super) fn kill(&mut self) {
        // Whatever fails here, the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cannot_run(runtime: &Runtime, error: io::Error) -> Error {
    Error::new(format!("`{}` cannot be run", runtime.java.display())).because(error)
}
