//! A directory to work in, and the command in it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::output::{self, Rows};

/// What takes longer hangs: far more than anything here needs, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(180);

/// A file to take what a process writes.
fn log() -> (NamedTempFile, Stdio) {
    let file = NamedTempFile::new().expect("a file");
    let end = File::options().append(true).open(file.path()).expect("opens").into();
    (file, end)
}

fn text(file: &NamedTempFile) -> String {
    String::from_utf8_lossy(&std::fs::read(file.path()).expect("readable")).into_owned()
}

/// A directory to work in, gone with the test.
///
/// Pipelines are known to a broker by their names, so those that use one get a name of this house alone; what the
/// command says has it as the test wrote it.
pub(crate) struct House {
    dir: tempfile::TempDir,
    tag: String,
}

impl House {
    pub(crate) fn new() -> House {
        let dir = tempfile::tempdir().expect("a directory");
        let own = dir.path().file_name().and_then(|name| name.to_str()).expect("a name");
        let tag = format!("-{}", own.trim_start_matches('.'));
        House { dir, tag }
    }

    /// A house with these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> House {
        let house = House::new();
        for (name, text) in files {
            house.write(name, text);
        }
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("within the house")).expect("created");
        let bytes = bytes.as_ref();
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("brokers = \"127.") => std::fs::write(path, self.named(text)),
            _ => std::fs::write(path, bytes),
        }
        .expect("written");
    }

    /// What a pipeline on a broker is called.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{name}{}", self.tag)
    }

    /// A pipeline with a name of this house.
    fn named(&self, text: &str) -> String {
        let line = text.lines().find(|line| line.starts_with("name = \"")).expect("a pipeline's name");
        let name = line.split('"').nth(1).expect("a name");
        text.replacen(line, &line.replacen(name, &self.name(name), 1), 1)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        text.replace(&self.tag, "")
    }

    /// Starts the command and leaves it running.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let (out, end) = log();
        self.launch(args, end, Some(out))
    }

    /// Runs the command to its end with a fault at a point of a commit (see `aqpipe_engine::fault`).
    pub(crate) fn run_with_fault(&self, args: &[&str], fault: &str) -> Done {
        self.start_with_fault(args, fault).wait()
    }

    /// The same, left running.
    pub(crate) fn start_with_fault(&self, args: &[&str], fault: &str) -> Running {
        let (out, end) = log();
        self.launch_with(args, end, Some(out), &[("AQPIPE_FAULT", fault)])
    }

    /// Runs the command to its end below a limit that a shell sets: `ulimit -n 100`.
    pub(crate) fn run_below(&self, limit: &str, args: &[&str]) -> Done {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_aqpipe")]);
        let (out, end) = log();
        self.spawn(command, args, end, Some(out)).wait()
    }

    /// Starts the command with a pipe for its standard output that nobody reads.
    pub(crate) fn start_unread(&self, args: &[&str]) -> Running {
        self.launch(args, Stdio::piped(), None)
    }

    fn launch(&self, args: &[&str], stdout: Stdio, out: Option<NamedTempFile>) -> Running {
        self.launch_with(args, stdout, out, &[])
    }

    fn launch_with(&self, args: &[&str], stdout: Stdio, out: Option<NamedTempFile>, env: &[(&str, &str)]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aqpipe"));
        command.envs(env.iter().copied());
        self.spawn(command, args, stdout, out)
    }

    fn spawn(&self, mut command: Command, args: &[&str], stdout: Stdio, out: Option<NamedTempFile>) -> Running {
        let (err, stderr) = log();
        command.args(args).current_dir(&self.dir).env_remove("KAFKA_BROKERS");
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let args = args.join(" ");
        Running { child: command.spawn().expect("starts"), out, err, command: args, tag: self.tag.clone() }
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

    /// The names of files that nobody is to see, left there unfinished.
    pub(crate) fn unfinished(&self, dir: &str) -> Vec<String> {
        output::names(&self.path(dir)).into_iter().filter(|name| name.ends_with(".tmp")).collect()
    }

    /// The rows of all CSV files of a directory, in the order of the files' names.
    pub(crate) fn rows(&self, dir: &str) -> Rows {
        Rows::read(&self.path(dir))
    }

    /// The dead letters of all NDJSON files of a directory, in the order of the files' names.
    pub(crate) fn letters(&self, dir: &str) -> Vec<serde_json::Value> {
        let files = self.files(dir).into_iter().filter(|name| name.ends_with(".ndjson"));
        let text: String = files.map(|name| self.read(&format!("{dir}/{name}"))).collect();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// The command while it runs. It is killed where a test does not wait for it.
pub(crate) struct Running {
    child: Child,
    out: Option<NamedTempFile>,
    err: NamedTempFile,
    command: String,
    tag: String,
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// The exit code; none where a signal ended it.
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
        // A child that nobody waited for keeps its number, so that this is no other process.
        kill_process(Pid::from_child(&self.child), signal).expect("a child can be signalled");
    }

    /// Closes the pipe that it writes to.
    pub(crate) fn stop_reading(&mut self) {
        drop(self.child.stdout.take());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn err(&self) -> String {
        text(&self.err).replace(&self.tag, "")
    }

    /// Waits until it said `text`.
    pub(crate) fn says(&mut self, text: &str) {
        self.until(text, |err| err.contains(text));
    }

    /// Waits until `holds` of what it said, or of what it did; it must not end before.
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&str) -> bool) {
        let began = Instant::now();
        loop {
            let running = self.is_running();
            let err = self.err();
            if holds(&err) {
                return;
            }
            assert!(running, "`aqpipe {}` ended before {what}:\n{err}", self.command);
            assert!(began.elapsed() < LIMIT, "`aqpipe {}` does not come to {what}:\n{err}", self.command);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait(mut self) -> Done {
        let began = Instant::now();
        while self.is_running() {
            assert!(began.elapsed() < LIMIT, "`aqpipe {}` does not end:\n{}", self.command, self.err());
            std::thread::sleep(Duration::from_millis(10));
        }
        let code = self.child.wait().expect("a child").code();
        let out = self.out.as_ref().map(text).unwrap_or_default().replace(&self.tag, "");
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
    /// It ended with this code, and said all of this on standard error.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, parts: &[&str]) -> Done {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in\n{}", self.err);
        }
        self
    }

    /// The lines after those of the log: the summaries and the errors.
    pub(crate) fn report(&self) -> Vec<&str> {
        let is_log = |line: &&str| line.get(..4).is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()));
        self.err.lines().filter(|line| !is_log(line)).collect()
    }
}
