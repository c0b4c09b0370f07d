//! `show`.

use anyhow::Result;
use aqpipe_engine::config::Pipeline;

use super::read::{for_each_dead_letter, replays_if_known};
use crate::exit::Exit;
use crate::printer;

pub(super) fn show(pipeline: &Pipeline, id: &str) -> Result<Exit> {
    let mut replays = replays_if_known(pipeline)?;
    let mut found = None;
    for_each_dead_letter(pipeline, |dead_letter| {
        replays.compare_container(&dead_letter);
        if dead_letter.id.to_string() == id {
            found = Some(dead_letter);
        }
    })?;
    let Some(dead_letter) = found else {
        printer::error(&format!("there is no dead letter `{id}`"), Some("`aqpipe dead-letters list` names them"));
        return Ok(Exit::Failed);
    };
    let length = dead_letter.raw.as_ref().map_or_else(|| "none".to_owned(), |raw| raw.len().to_string());
    let truncation = if dead_letter.whole { "" } else { ", truncated" };
    for (what, text) in [
        ("id", &*dead_letter.id.to_string()),
        ("pipeline", &dead_letter.pipeline),
        ("split", &dead_letter.split),
        ("position", &dead_letter.position),
        ("place", &dead_letter.place),
        ("stage", &dead_letter.stage),
        ("reason", &dead_letter.reason),
        ("time", dead_letter.time.as_deref().unwrap_or("unknown")),
        ("replayed", if replays.contains(&dead_letter.id) { "yes" } else { "no" }),
        ("bytes", &format!("{length}{truncation}")),
    ] {
        printer::out(&format!("{what:<9} {text}"));
    }
    if let Some(part) = &dead_letter.part {
        printer::out(&format!("{:<9} {part}", "part"));
    }
    let records = dead_letter.records.iter().filter_map(|record| record.raw.as_ref());
    for raw in dead_letter.raw.iter().chain(records) {
        printer::out("");
        // From the second line on the record is indented, so that none of its lines looks like one of those above.
        let text = String::from_utf8_lossy(raw);
        for (number, line) in text.lines().enumerate() {
            printer::out(&format!("{}{line}", if number == 0 { "" } else { "    " }));
        }
    }
    Ok(Exit::Done)
}
