//! A working directory with the command in it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::output::{self, Rows};
use super::process::{COMMAND_TIMEOUT, Done, Running};

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

    /// The command, to be started by other means.
    pub(crate) fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aqpipe"));
        command.args(args).current_dir(&self.dir).env_remove("KAFKA_BROKERS").envs(env.iter().copied());
        command.stdin(Stdio::null());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.run_with_env(args, &[])
    }

    /// Runs the command to its end with environment variables.
    pub(crate) fn run_with_env(&self, args: &[&str], env: &[(&str, &str)]) -> Done {
        let command = self.command(args, env);
        let output = assert_cmd::Command::from_std(command).timeout(COMMAND_TIMEOUT).output().expect("starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace(&self.name_suffix, "");
        Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs the command to its end with a fault at a point of a commit (see `aqpipe_engine::fault`).
    pub(crate) fn run_with_fault(&self, args: &[&str], fault: &str) -> Done {
        self.start_with_fault(args, fault).wait()
    }

    /// Runs the command to its end under a limit of the shell: `ulimit -n 100`.
    pub(crate) fn run_below(&self, limit: &str, args: &[&str]) -> Done {
        self.start_behind(&format!("{limit} && exec"), args).wait()
    }

    /// Starts the command.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::spawn(self.command(args, &[]), &self.name_suffix)
    }

    /// Starts the command with environment variables.
    pub(crate) fn start_with_env(&self, args: &[&str], env: &[(&str, &str)]) -> Running {
        Running::spawn(self.command(args, env), &self.name_suffix)
    }

    /// Starts the command from a shell, behind words of it: `trap "" HUP;`, `env …`.
    pub(crate) fn start_behind(&self, before: &str, args: &[&str]) -> Running {
        Running::spawn(self.command_behind(before, args), &self.name_suffix)
    }

    /// The command behind words of a shell, to be started by other means.
    pub(crate) fn command_behind(&self, before: &str, args: &[&str]) -> Command {
        let command = self.command(args, &[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{before} \"$0\" \"$@\"")]).arg(command.get_program());
        shell.args(command.get_args()).current_dir(&self.dir).stdin(Stdio::null());
        shell
    }

    /// Starts the command with a fault at a point of a commit.
    pub(crate) fn start_with_fault(&self, args: &[&str], fault: &str) -> Running {
        Running::spawn(self.command(args, &[("AQPIPE_FAULT", fault)]), &self.name_suffix)
    }

    /// Starts the command with a pipe for its standard output, which nobody reads.
    pub(crate) fn start_unread(&self, args: &[&str]) -> Running {
        Running::spawn_unread(self.command(args, &[]), &self.name_suffix)
    }

    /// The names of the visible files of a directory but their description, sorted.
    pub(crate) fn files(&self, dir: &str) -> Vec<String> {
        let is_shown =
            |name: &String| !name.starts_with('.') && name != "datapackage.json" && !self.path(dir).join(name).is_dir();
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
