//! The command.

use std::io::IsTerminal as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aqpipe_console::server::usable_token;
use aqpipe_engine::cancel::CancellationToken;
use aqpipe_engine::monitor::Status;
use clap::Args;

use super::ask::{Asked, NoStatus};
use super::view::{fitted, view};
use crate::exit::Exit;
use crate::logging::LogFiles;
use crate::printer::{self, Screen, Tone};
use crate::signals::handle_signals;

/// Show the pipelines of a running process: rates, lag, score, stages, splits, alerts; each second anew, until `q`.
#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    /// Where it serves: `http` of [monitor], or `--http` of `aqpipe run`.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:9600")]
    url: String,
    /// The environment variable with its token.
    #[arg(long, value_name = "VAR")]
    token_env: Option<String>,
    /// Print it once, as plain text. So it is where the output is no terminal.
    #[arg(long)]
    once: bool,
}

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How soon a key is heard.
const KEY_INTERVAL: Duration = Duration::from_millis(50);
/// Columns of a text that is printed once.
const PLAIN_COLUMNS: usize = 200;

/// Runs the command.
///
/// # Errors
/// Where the terminal cannot be used.
pub(crate) fn top(args: &TopArgs) -> Result<Exit> {
    let token = match &args.token_env {
        None => None,
        Some(name) => {
            let given = std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
            let token = given.as_deref().map_or(Err("is not set".to_owned()), |given| {
                usable_token(given).map_err(|problem| problem.to_string())
            });
            match token {
                Ok(token) => Some(token.to_owned()),
                Err(problem) => {
                    printer::error(
                        &format!("the environment variable `{name}`, which `--token-env` names, {problem}"),
                        Some("set it to the token that `http_token_env` of the pipeline stands for"),
                    );
                    return Ok(Exit::Usage);
                }
            }
        }
    };
    let asked = Asked::new(&args.url, token);
    let first = match asked.status() {
        Ok(status) => status,
        Err(NoStatus { message, help }) => {
            printer::error(&message, Some(help));
            return Ok(Exit::Failed);
        }
    };
    if args.once || !std::io::stdout().is_terminal() {
        view(&first, None, &asked.shown(), PLAIN_COLUMNS).iter().for_each(|(_, line)| printer::out(line));
        return Ok(Exit::Done);
    }
    follow(asked, first)?;
    Ok(Exit::Done)
}

/// What is known of the process.
struct Known {
    before: Option<Status>,
    now: Status,
    /// Since when, and why, it does not answer.
    silent: Option<(Instant, NoStatus)>,
}

fn follow(asked: Asked, first: Status) -> Result<()> {
    let stop = CancellationToken::default();
    // The terminal is given back whatever ends this.
    handle_signals(vec![stop.clone()], LogFiles::default())?;
    let url = asked.shown();
    let looks = look(asked);
    let mut known = Known { before: None, now: first, silent: None };
    let screen = Screen::open().context("the terminal cannot be drawn on; `--once` prints lines")?;
    loop {
        let (columns, rows) = screen.size();
        let mut lines = view(&known.now, known.before.as_ref(), &url, columns);
        if let Some((since, why)) = &known.silent {
            let text = format!("no answer for {} s, trying again: {}", since.elapsed().as_secs(), why.message);
            lines.insert(0, (Tone::Bad, fitted(&text, columns)));
        }
        screen.draw(&lines, columns, rows)?;
        let until = Instant::now() + INTERVAL;
        loop {
            if stop.is_stopped() || screen.is_asked_to_end(KEY_INTERVAL)? {
                return Ok(());
            }
            match looks.recv_timeout(Duration::ZERO) {
                Ok(Ok(status)) => {
                    let before = std::mem::replace(&mut known.now, status);
                    (known.before, known.silent) = (Some(before), None);
                    break;
                }
                Ok(Err(why)) => {
                    let since = known.silent.take().map_or_else(Instant::now, |(since, _)| since);
                    known.silent = Some((since, why));
                    break;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if screen.is_resized() || Instant::now() >= until {
                break;
            }
        }
    }
}

/// Looks each second, on a thread that ends when nobody takes what it saw. It ends the process where the terminal was closed and the
/// signal of that is ignored (`nohup`): crossterm never returns from reading such a terminal, which needs no care any more.
fn look(asked: Asked) -> Receiver<Result<Status, NoStatus>> {
    let (sender, looks) = channel();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(INTERVAL);
            if !std::io::stdout().is_terminal() {
                std::process::exit(Exit::Failed.code().into());
            }
            if sender.send(asked.status()).is_err() {
                return;
            }
        }
    });
    looks
}
