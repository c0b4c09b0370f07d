//! A command that is told of alerts.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};

use super::notification::Notification;

/// The bytes of a command's last words that a message shows.
const WORDS_MAX: u64 = 300;
/// How long a command that has ended is listened to: its children may keep the pipe.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(100);

/// Runs a command, which gets a notification, and waits for its end.
///
/// # Errors
/// Why it did not do its work: lower case, no full stop.
pub(super) fn run(command: &[String], notification: &Notification, timeout: Duration) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("no program is named")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the system gives nothing to run it with: {error}"))?;
    runtime.block_on(async {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(notification.variables())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A signal of the terminal is for the pipeline, and what it starts itself ends with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("it does not start: {error}"))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        match tokio::time::timeout(timeout, attend(&mut child, &notification.json())).await {
            Ok(result) => result,
            Err(_) => {
                if let Some(group) = group {
                    // It may have ended in this moment.
                    let _ = kill_process_group(group, Signal::KILL);
                }
                let secs = timeout.as_secs_f64();
                Err(format!("it was killed: it took longer than {secs} s (`timeout_secs` in [[monitor.notify]])"))
            }
        }
    })
}

async fn attend(child: &mut Child, json: &str) -> Result<(), String> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let mut words = Vec::new();
    let status = {
        let talk = talk(stdin, stderr, json, &mut words);
        tokio::pin!(talk);
        let mut is_said = false;
        loop {
            tokio::select! {
                status = child.wait() => {
                    if !is_said {
                        let _ = tokio::time::timeout(LAST_WORDS_TIMEOUT, &mut talk).await;
                    }
                    break status;
                }
                () = &mut talk, if !is_said => is_said = true,
            }
        }
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let words = String::from_utf8_lossy(&words);
            let words = words.trim();
            Err(if words.is_empty() { format!("{status}") } else { format!("{status}: {words}") })
        }
        Err(error) => Err(format!("its end cannot be waited for: {error}")),
    }
}

/// Hands the JSON over, and listens to what it says, for a message.
async fn talk(stdin: Option<ChildStdin>, stderr: Option<ChildStderr>, json: &str, words: &mut Vec<u8>) {
    let tell = async {
        if let Some(mut stdin) = stdin {
            // One that reads nothing has its environment.
            let _ = stdin.write_all(json.as_bytes()).await;
        }
    };
    let listen = async {
        if let Some(mut stderr) = stderr {
            let _ = (&mut stderr).take(WORDS_MAX).read_to_end(words).await;
            // A pipe that is full would stop it.
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        }
    };
    tokio::join!(tell, listen);
}
