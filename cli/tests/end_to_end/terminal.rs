//! What a run shows on a terminal, and that it shows the same as ever where there is none.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::common::TestDir;

/// Slow enough that a bar is drawn several times.
const JOB: &str = r#"name = "job"

[source]
type = "sample"
records = 400
replay = { speed = 200.0, interval_secs = 1.0 }

[sink]
type = "null"
"#;

const COLUMNS: u16 = 60;

/// A pseudo terminal: the side of the one who looks, and that of the program.
fn terminal() -> (File, OwnedFd) {
    let looking = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&looking).expect("granted");
    unlockpt(&looking).expect("unlocked");
    tcsetwinsize(&looking, Winsize { ws_row: 24, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
    let name = ptsname(&looking, Vec::new()).expect("a name").into_string().expect("UTF-8");
    let of_program = File::options().read(true).write(true).open(name).expect("opens");
    (looking.into(), of_program.into())
}

/// What a command writes to a terminal as its standard error, to its end.
fn shown(dir: &TestDir, args: &[&str], env: &[(&str, &str)]) -> String {
    let (mut looking, of_program) = terminal();
    let mut command = dir.command(args, &[]);
    command.env_remove("NO_COLOR").env("TERM", "xterm-256color").envs(env.iter().copied());
    let mut child = command.stdout(std::process::Stdio::null()).stderr(of_program).spawn().expect("starts");
    // The program's side is closed here, so that reading ends with the program.
    drop(command);
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    // Linux reports the end as an error.
    while let Ok(count @ 1..) = looking.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
    }
    assert!(child.wait().expect("a child").success());
    String::from_utf8(bytes).expect("UTF-8")
}

/// The text without what moves the cursor and colours it.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string().replace('\r', "\n")
}

#[test]
fn a_bounded_run_shows_its_progress_and_short_lines_that_fit() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let text = shown(&dir, &["run", "job.toml", "--fresh"], &[]);
    let lines = plain(&text);
    let is_head = |line: &str| {
        line.len() > 9
            && line.is_char_boundary(8)
            && line[..8].split(':').all(|part| part.len() == 2 && part.parse::<u8>().is_ok())
    };
    let heads: Vec<&str> = lines.lines().filter(|line| is_head(line)).map(|line| &line[9..]).collect();
    assert_eq!(heads.first(), Some(&" INFO job: sample -> null"), "{lines}");
    assert_eq!(heads.last(), Some(&" INFO job: done"), "{lines}");
    assert!(!lines.contains('Z'), "no long times: {lines}");
    assert!(lines.contains("/400 records, ") && lines.contains("/s, ") && lines.contains("s left"), "{lines}");
    let log: Vec<&str> = lines.lines().take_while(|line| !line.starts_with("job: read 400")).collect();
    let widest = log.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    assert!(widest <= usize::from(COLUMNS), "{widest} columns:\n{lines}");
    assert!(lines.contains("job: read 400, written 400,"), "{lines}");
    // The warning of `--fresh`, or the state that is forgotten: a level in colour.
    let warned = shown(&dir, &["run", "job.toml", "--fresh", "--embedded-broker"], &[]);
    assert!(warned.contains("\u{1b}[33m WARN\u{1b}[0m"), "{warned:?}");
    let words = plain(&warned).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("it keeps its records in memory, they are gone at exit, and it is not for production"),
        "{words}"
    );
}

#[test]
fn no_color_is_respected_and_a_dumb_terminal_gets_lines() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let args = ["run", "job.toml", "--fresh", "--embedded-broker"];
    let text = shown(&dir, &args, &[("NO_COLOR", "1")]);
    assert!(text.contains(" WARN this run uses a broker"), "{text:?}");
    assert!(!text.contains("\u{1b}[33m") && !text.contains("\u{1b}[2m"), "{text:?}");
    let text = shown(&dir, &args, &[("TERM", "dumb")]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(
        text.contains(
            "Z  WARN this run uses a broker inside this process: it keeps its records in memory, they are gone"
        )
    );
}

#[test]
fn an_endless_run_shows_its_status_until_it_is_stopped() {
    let waiting = "name = \"job\"\n\n[source]\ntype = \"kafka\"\nbrokers = \"127.0.0.1:1\"\ntopics = [\"t\"]\nkey = \"station\"\n\
                   connect_timeout_secs = 5\n\n[sink]\ntype = \"null\"\n";
    let dir = TestDir::new();
    dir.write("job.toml", waiting);
    let (mut looking, of_program) = terminal();
    let mut command = dir.command(&["run", "job.toml"], &[("TERM", "xterm")]);
    let mut child = command.stderr(of_program).spawn().expect("starts");
    drop(command);
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = looking.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(child.wait().expect("a child").code(), Some(1));
    let text = plain(&String::from_utf8(bytes).expect("UTF-8"));
    assert!(text.contains(": waiting; "), "{text}");
    let status = text.lines().filter(|line| line.contains(": waiting; "));
    assert!(status.into_iter().all(|line| line.chars().count() <= usize::from(COLUMNS)), "{text}");
}

#[test]
fn where_there_is_no_terminal_lines_have_long_times_and_no_colours() {
    let dir = TestDir::with(&[("job.toml", JOB)]);
    let done =
        dir.run(&["run", "job.toml", "--fresh", "--embedded-broker"]).expect(0, &["Z  WARN this run uses a broker"]);
    assert!(!done.err.contains('\u{1b}') && !done.err.contains("/400 records"), "{}", done.err);
    for line in done.err.lines().filter(|line| line.starts_with("20")) {
        let (time, rest) = line.split_once(' ').expect("a time");
        assert!(time.len() == "2026-01-31T12:00:00.000000Z".len() && time.ends_with('Z'), "{line}");
        assert!([" INFO ", " WARN "].iter().any(|level| rest.starts_with(level)), "{line}");
    }
}
