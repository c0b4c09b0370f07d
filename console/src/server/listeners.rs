//! Which listeners a process needs.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use aqpipe_engine::monitor::{Monitor, http_address};

use super::token::{TOKEN_HELP, usable_token};

/// A listener and the pipelines that it serves.
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// The token that requests carry. It is never shown.
    pub token: Option<String>,
    /// The pipelines.
    pub monitors: Vec<Monitor>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("address", &self.address)
            .field("monitors", &self.monitors)
            .finish_non_exhaustive()
    }
}

/// Why there is no listener, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// The listeners that pipelines ask for in `[monitor]`, or the one of `--http` for all of them. Those with the same address share
/// it; `variable` reads an environment variable.
///
/// # Errors
/// Where pipelines that share an address want different tokens, or a token is not there or no header can carry it.
pub fn listeners(
    monitors: &[Monitor],
    for_all: Option<SocketAddr>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Listener>, Problem> {
    let mut by_address: BTreeMap<SocketAddr, Vec<Monitor>> = BTreeMap::new();
    for monitor in monitors {
        let settings = &monitor.monitored().settings;
        let own = settings.http.as_ref().filter(|_| settings.enabled);
        let own = own.and_then(|text| http_address(text, settings.http_allow_remote).ok());
        if let Some(address) = for_all.or(own) {
            by_address.entry(address).or_default().push(monitor.clone());
        }
    }
    let listener = |(address, monitors): (SocketAddr, Vec<Monitor>)| {
        let token = token(address, &monitors, &variable)?;
        Ok(Listener { address, token, monitors })
    };
    by_address.into_iter().map(listener).collect()
}

fn token(
    address: SocketAddr,
    monitors: &[Monitor],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, Problem> {
    let wanted = |monitor: &Monitor| monitor.monitored().settings.http_token_env.clone();
    let Some(first) = monitors.first() else { return Ok(None) };
    if let Some(other) = monitors.iter().find(|monitor| wanted(monitor) != wanted(first)) {
        let name = |monitor: &Monitor| monitor.monitored().about.name.clone();
        return Err(Problem {
            message: format!("`{}` and `{}` share {address}, and want different tokens", name(first), name(other)),
            help: "give both the same `http_token_env` in [monitor], or different addresses".to_owned(),
        });
    }
    let Some(name) = wanted(first) else { return Ok(None) };
    let variable_named = format!("the environment variable `{name}`, which `http_token_env` in [monitor] names,");
    let Some(given) = variable(&name) else {
        return Err(Problem {
            message: format!("{variable_named} is not set"),
            help: format!("set it to the token that requests to {address} must carry"),
        });
    };
    let token = usable_token(&given).map_err(|problem| Problem {
        message: format!("{variable_named} {problem}"),
        help: format!("{TOKEN_HELP}; requests to {address} must carry it"),
    })?;
    Ok(Some(token.to_owned()))
}
