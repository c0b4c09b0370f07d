//! `list`.

use std::borrow::Cow;

use anyhow::Result;
use aqpipe_engine::config::Pipeline;
use aqpipe_engine::dead_letter_groups::DeadLetterGroups;
use aqpipe_engine::record::Origin;
use aqpipe_engine::stage::StoredDeadLetter;
use serde_json::json;

use super::args::ListArgs;
use super::read::{for_each_dead_letter, replays_if_known};
use crate::exit::Exit;
use crate::printer;

pub(super) fn list(pipeline: &Pipeline, args: &ListArgs) -> Result<Exit> {
    let mut replays = replays_if_known(pipeline)?;
    let (mut listed, mut hidden) = (0_u64, 0_u64);
    let mut groups = DeadLetterGroups::default();
    for_each_dead_letter(pipeline, |dead_letter| {
        replays.compare_container(&dead_letter);
        let is_replayed = replays.contains(&dead_letter.id);
        if !args.filter.matches(&dead_letter) {
            return;
        }
        if is_replayed && !args.all {
            hidden += 1;
            return;
        }
        listed += 1;
        groups.add(&dead_letter.stage, &dead_letter.reason, &place(&dead_letter));
        if args.json {
            printer::json(&json_line(&dead_letter, is_replayed).to_string());
        } else {
            printer::out(&text_line(&dead_letter, is_replayed));
        }
    })?;
    if !args.json {
        let rest = if hidden > 0 { format!(", {hidden} were replayed (`--all` lists them)") } else { String::new() };
        let noun = if listed == 1 { "dead letter" } else { "dead letters" };
        printer::err(&format!("{listed} {noun}{rest}{}", if listed > 0 { ", by stage and reason:" } else { "" }));
        groups.lines().iter().for_each(|line| printer::err(&format!("  {line}")));
    }
    Ok(Exit::Done)
}

/// The place for a person. Those of other programs and earlier versions may have none.
fn place(dead_letter: &StoredDeadLetter) -> Cow<'_, str> {
    let StoredDeadLetter { place, split, position, .. } = dead_letter;
    match (place.is_empty(), split.is_empty()) {
        (false, _) => place.into(),
        (true, false) => format!("{split}@{position}").into(),
        (true, true) => position.into(),
    }
}

fn text_line(dead_letter: &StoredDeadLetter, is_replayed: bool) -> String {
    let place = place(dead_letter);
    let replayed = if is_replayed { "  (replayed)" } else { "" };
    format!("{}  {}  {place}  {}{replayed}", dead_letter.id, dead_letter.stage, dead_letter.reason)
}

fn json_line(dead_letter: &StoredDeadLetter, is_replayed: bool) -> serde_json::Value {
    let raw = dead_letter.raw.as_deref().map(String::from_utf8_lossy);
    let record = |record: &Origin| {
        json!({
            "position": record.source_offset,
            "part": record.part,
            "raw": record.raw.as_deref().map(String::from_utf8_lossy),
        })
    };
    json!({
        "id": dead_letter.id.to_string(),
        "pipeline": dead_letter.pipeline,
        "split": dead_letter.split,
        "position": dead_letter.position,
        "place": dead_letter.place,
        "stage": dead_letter.stage,
        "reason": dead_letter.reason,
        "time": dead_letter.time,
        "bytes": dead_letter.raw.as_ref().map(Vec::len),
        "truncated": !dead_letter.whole,
        "raw": raw,
        "part": dead_letter.part,
        "records": dead_letter.records.iter().map(record).collect::<Vec<_>>(),
        "replayed": is_replayed,
    })
}
