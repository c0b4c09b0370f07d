//! A working directory with the command in it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::output::{self, Rows};

/// How long a command may take: far more than any needs on a busy machine.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(180);

/// A file for the output of a process.
fn log_file() -> (NamedTempFile, Stdio) {
    let file = NamedTempFile::new().expect("a file");
    let handle = File::options().append(true).open(file.path()).expect("opens").into();
    (file, handle)
}

fn text(file: &NamedTempFile) -> String {
    String::from_utf8_lossy(&std::fs::read(file.path()).expect("readable")).into_owned()
}

/// A working directory, removed after the test.
///
/// Brokers identify pipelines by name, so the name of a pipeline with a real broker gets a unique suffix. Output of the
/// command is read without that suffix.
pub(crate) struct TestDir {
    dir: tempfile::TempDir,
    name_suffix: String,
}

impl TestDir {
    pub(crate) fn new() -> TestDir {
        let dir = tempfile::tempdir().expect("a directory");
        let own = dir.path().file_name().and_then(|name| name.to_str()).expect("a name");
        let name_suffix = format!("-{}", own.trim_start_matches('.'));
        TestDir { dir, name_suffix }
    }

    /// A directory with these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> TestDir {
        let dir = TestDir::new();
        for (name, text) in files {
            dir.write(name, text);
        }
        dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        let bytes = bytes.as_ref();
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("brokers = \"127.") => std::fs::write(path, self.named(text)),
            _ => std::fs::write(path, bytes),
        }
        .expect("written");
    }

    /// The name of a pipeline on a broker.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{name}{}", self.name_suffix)
    }

    /// The pipeline with its unique name.
    fn named(&self, text: &str) -> String {
        let line = text.lines().find(|line| line.starts_with("name = \"")).expect("a pipeline's name");
        let name = line.split('"').nth(1).expect("a name");
        text.replacen(line, &line.replacen(name, &self.name(name), 1), 1)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        text.replace(&self.name_suffix, "")
    }

    /// Starts the command.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let (out, handle) = log_file();
        self.spawn_command(args, handle, Some(out))
    }

    /// Runs the command to its end with a fault at a point of a commit (see `aqpipe_engine::fault`).
    pub(crate) fn run_with_fault(&self, args: &[&str], fault: &str) -> Done {
        self.start_with_fault(args, fault).wait()
    }

    /// The same without waiting for its end.
    pub(crate) fn start_with_fault(&self, args: &[&str], fault: &str) -> Running {
        let (out, handle) = log_file();
        self.spawn_with_env(args, handle, Some(out), &[("AQPIPE_FAULT", fault)])
    }

    /// Runs the command to its end under a limit of the shell: `ulimit -n 100`.
    pub(crate) fn run_below(&self, limit: &str, args: &[&str]) -> Done {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_aqpipe")]);
        let (out, handle) = log_file();
        self.spawn(command, args, handle, Some(out)).wait()
    }

    /// Starts the command with a pipe for its standard output, which nobody reads.
    pub(crate) fn start_unread(&self, args: &[&str]) -> Running {
        self.spawn_command(args, Stdio::piped(), None)
    }

    fn spawn_command(&self, args: &[&str], stdout: Stdio, out: Option<NamedTempFile>) -> Running {
        self.spawn_with_env(args, stdout, out, &[])
    }

    fn spawn_with_env(
        &self,
        args: &[&str],
        stdout: Stdio,
        out: Option<NamedTempFile>,
        env: &[(&str, &str)],
    ) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aqpipe"));
        command.envs(env.iter().copied());
        self.spawn(command, args, stdout, out)
    }

    fn spawn(&self, mut command: Command, args: &[&str], stdout: Stdio, out: Option<NamedTempFile>) -> Running {
        let (err, stderr) = log_file();
        command.args(args).current_dir(&self.dir).env_remove("KAFKA_BROKERS");
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let args = args.join(" ");
        Running {
            child: command.spawn().expect("starts"),
            out,
            err,
            command: args,
            name_suffix: self.name_suffix.clone(),
        }
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.start(args).wait()
    }

    /// The names of the visible files of a directory, sorted.
    pub(crate) fn files(&self, dir: &str) -> Vec<String> {
        let is_shown = |name: &String| !name.starts_with('.') && !self.path(dir).join(name).is_dir();
        output::names(&self.path(dir)).into_iter().filter(is_shown).collect()
    }

    /// The names of temporary files.
    pub(crate) fn temporary_files(&self, dir: &str) -> Vec<String> {
        output::names(&self.path(dir)).into_iter().filter(|name| name.ends_with(".tmp")).collect()
    }

    /// The rows of all CSV files of a directory, in the order of the files' names.
    pub(crate) fn rows(&self, dir: &str) -> Rows {
        Rows::read(&self.path(dir))
    }

    /// The dead letters of all NDJSON files of a directory, in the order of the files' names.
    pub(crate) fn dead_letters(&self, dir: &str) -> Vec<serde_json::Value> {
        let files = self.files(dir).into_iter().filter(|name| name.ends_with(".ndjson"));
        let text: String = files.map(|name| self.read(&format!("{dir}/{name}"))).collect();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// The running command; it is killed on drop.
pub(crate) struct Running {
    child: Child,
    out: Option<NamedTempFile>,
    err: NamedTempFile,
    command: String,
    name_suffix: String,
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct Done {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Running {
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // A child keeps its process id until it is waited for, so the signal cannot hit another process.
        kill_process(Pid::from_child(&self.child), signal).expect("a child can be signalled");
    }

    /// Closes the pipe of its standard output.
    pub(crate) fn stop_reading(&mut self) {
        drop(self.child.stdout.take());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Its standard error so far.
    pub(crate) fn err(&self) -> String {
        text(&self.err).replace(&self.name_suffix, "")
    }

    /// Waits until its standard error contains `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        self.wait_until(text, |err| err.contains(text));
    }

    /// Waits until `holds`, which is given the standard error; the command must not end before.
    pub(crate) fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&str) -> bool) {
        let began = Instant::now();
        loop {
            let running = self.is_running();
            let err = self.err();
            if holds(&err) {
                return;
            }
            assert!(running, "`aqpipe {}` ended before {what}:\n{err}", self.command);
            assert!(began.elapsed() < COMMAND_TIMEOUT, "`aqpipe {}` does not come to {what}:\n{err}", self.command);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait(mut self) -> Done {
        let began = Instant::now();
        while self.is_running() {
            assert!(began.elapsed() < COMMAND_TIMEOUT, "`aqpipe {}` does not end:\n{}", self.command, self.err());
            std::thread::sleep(Duration::from_millis(10));
        }
        let code = self.child.wait().expect("a child").code();
        let out = self.out.as_ref().map(text).unwrap_or_default().replace(&self.name_suffix, "");
        Done { code, out, err: self.err() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Done {
    /// Asserts the exit code and parts of the standard error.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, parts: &[&str]) -> Done {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in\n{}", self.err);
        }
        self
    }

    /// The lines that are no log: summaries and errors.
    pub(crate) fn report(&self) -> Vec<&str> {
        let is_log = |line: &&str| line.get(..4).is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()));
        self.err.lines().filter(|line| !is_log(line)).collect()
    }
}
