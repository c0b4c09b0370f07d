//! The HTTP listeners of a run.

use aqpipe_console::server::{Problem, Server, listeners};
use aqpipe_engine::monitor::{Monitor, http_address};
use clap::Args;

use crate::exit::Exit;
use crate::printer;

/// The options of `aqpipe run` for its listener.
#[derive(Args, Debug)]
pub(crate) struct HttpArgs {
    /// Serve the page, metrics, health and status of all pipelines here, whatever they say: `127.0.0.1:9600`.
    #[arg(long, value_name = "ADDR", conflicts_with = "no_monitoring")]
    http: Option<String>,
    /// Let `--http` be an address that other machines reach. They see values and records.
    #[arg(long, requires = "http")]
    http_allow_remote: bool,
}

/// Begins to listen, before anything runs.
///
/// # Errors
/// The exit code, after printing why.
pub(crate) fn start(args: &HttpArgs, monitors: &[Monitor]) -> Result<Server, Exit> {
    let refuse = |message: &str, help: &str, exit: Exit| {
        printer::error(message, Some(help));
        exit
    };
    let for_all = match args.http.as_deref().map(|text| http_address(text, args.http_allow_remote)) {
        None => None,
        Some(Ok(address)) => Some(address),
        Some(Err(problem)) => {
            // It is the same as in a pipeline, but for the way to allow it.
            let is_remote = http_address(args.http.as_deref().unwrap_or_default(), true).is_ok();
            let help = if is_remote {
                "add `--http-allow-remote` where that is meant, with a token in `http_token_env` of [monitor], or use `127.0.0.1`"
            } else {
                problem.help
            };
            return Err(refuse(&format!("--http: {}", problem.message), help, Exit::Usage));
        }
    };
    let asked = |Problem { message, help }: Problem, exit| refuse(&message, &help, exit);
    let listeners =
        listeners(monitors, for_all, |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
            .map_err(|problem| asked(problem, Exit::Config))?;
    let off =
        monitors.iter().map(|monitor| monitor.monitored()).filter(|one| for_all.is_none() && !one.settings.enabled);
    for (name, text) in off.filter_map(|one| Some((&one.about.name, one.settings.http.as_deref()?))) {
        tracing::info!(
            pipeline = &**name,
            "nothing is served at http://{text}/: monitoring is off, by `--no-monitoring` or `enabled = false` in [monitor]"
        );
    }
    for open in listeners.iter().filter(|one| !one.address.ip().is_loopback() && one.token.is_none()) {
        tracing::warn!(
            "whoever reaches {} sees values and records of this run: `http_token_env` in [monitor] asks for a token",
            open.address
        );
    }
    // Whoever holds the port may let it go, so the next start can succeed.
    let server = Server::start(listeners).map_err(|problem| asked(problem, Exit::Failed))?;
    for address in server.addresses() {
        tracing::info!("http://{address}/ shows this run; /metrics, /health, /ready and /api/status are there too");
    }
    Ok(server)
}
