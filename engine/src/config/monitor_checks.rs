//! Checks of `[monitor]` that its schema cannot say.

use super::diagnostics::Diagnostic;
use super::document::Document;
use crate::monitor::{MonitorSettings, NotifySettings, http_address};

/// The mistakes in the settings of a document.
pub(super) fn monitor_problems(document: &Document, settings: &MonitorSettings) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Some(text) = &settings.http
        && let Err(problem) = http_address(text, settings.http_allow_remote)
    {
        let place = document.root.find(&["monitor", "http"]);
        // The environment may have given it.
        let message = if place.node.secret { "this is no address for the listener" } else { &problem.message };
        let error = Diagnostic::error(format!("invalid value for `http` in [monitor]: {message}"));
        problems.push(error.at_place(place.node.span).help(problem.help));
    }
    for (at, notify) in settings.notify.iter().enumerate() {
        problems.extend(notify_problem(document, at, notify));
        let is_same = |earlier: &NotifySettings| earlier.name.is_some() && earlier.name == notify.name;
        if settings.notify.iter().take(at).any(is_same) {
            let place = document.root.find(&["monitor", "notify", &at.to_string(), "name"]).node.span;
            let error = Diagnostic::error("two tables of [[monitor.notify]] have the same `name`").at_place(place);
            problems.push(error.help("log and metrics tell them apart by it: give each its own, or none"));
        }
    }
    problems.extend(without_effect(document, settings));
    problems
}

/// What `enabled = false` turns off, although it stands beside it.
fn without_effect(document: &Document, settings: &MonitorSettings) -> Vec<Diagnostic> {
    let place = |path: &[&str]| document.root.find(path).node.span;
    let warning = |message: &str, path: &[&str]| {
        let help = "take out `enabled = false`, or this as well; `aqpipe run --no-monitoring` turns monitoring off for one run";
        Diagnostic::warning(message).at_place(place(path)).help(help)
    };
    let mut warnings = Vec::new();
    if !settings.enabled && settings.http.is_some() {
        let message = "`http` in [monitor] serves nothing: `enabled = false` turns page, metrics and health off";
        warnings.push(warning(message, &["monitor", "http"]));
    }
    if !settings.enabled && !settings.notify.is_empty() {
        let message = "[[monitor.notify]] tells nobody: `enabled = false` turns alerts off";
        warnings.push(warning(message, &["monitor", "notify", "0"]));
    }
    warnings
}

fn notify_problem(document: &Document, at: usize, notify: &NotifySettings) -> Option<Diagnostic> {
    let index = at.to_string();
    let place = |key: &str| document.root.find(&["monitor", "notify", &index, key]).node.span;
    let table = document.root.find(&["monitor", "notify", &index]).node.span;
    match (&notify.command, &notify.webhook) {
        (None, None) => Some(
            Diagnostic::error("[[monitor.notify]] says nobody to tell")
                .at_place(table)
                .help("give it a `command = [\"program\", \"argument\"]` or a `webhook = \"https://…\"`"),
        ),
        (Some(_), Some(_)) => Some(
            Diagnostic::error("[[monitor.notify]] has a `command` and a `webhook`")
                .at_place(place("webhook"))
                .help("write two tables, one for each"),
        ),
        (Some(_), None) if !notify.headers.is_empty() => Some(
            Diagnostic::error("`headers` do not go with `command`, in [[monitor.notify]]")
                .at_place(place("headers"))
                .help("they are for a `webhook`"),
        ),
        (Some(command), None) if command.first().is_none_or(|program| program.trim().is_empty()) => {
            Some(Diagnostic::error("`command` in [[monitor.notify]] names no program").at_place(place("command")))
        }
        (None, Some(webhook)) => {
            let text = webhook.reveal();
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            let is_url = host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', ':']))
                && !text.contains(|c: char| c.is_whitespace() || c.is_control());
            if !is_url {
                let problem = Diagnostic::error("`webhook` in [[monitor.notify]] is no address of the web");
                let help = "it begins with `https://` or `http://` and names a host";
                return Some(problem.at_place(place("webhook")).help(help));
            }
            let name = notify.headers.iter().find(|(name, value)| !is_header(name, value.reveal()))?.0;
            let path = ["monitor", "notify", &index, "headers", name];
            let problem = Diagnostic::error(format!("`{name}` in `headers` of [[monitor.notify]] is no header"));
            let help = "a name has letters, digits and `-`, a value has visible characters of ASCII and spaces";
            Some(problem.at_place(document.root.find(&path).node.span).help(help))
        }
        (Some(_), None) => None,
    }
}

fn is_header(name: &str, value: &str) -> bool {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.chars().all(is_in_name) && value.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}
