//! Records that could not be carried.

use aqpipe_engine::clock::rfc3339;
use aqpipe_engine::metrics::RecentDeadLetter;
use aqpipe_engine::monitor::{DeadLetterStatus, PipelineStatus};
use maud::{Markup, html};

use crate::names::name;
use crate::numbers::count;
use crate::page::model::View;
use crate::page::parts::{fold, head, marked, more, plain, row_head, scroll, time};

/// Groups, letters and bytes that a person reads.
const GROUPS_MAX: usize = 30;
const LETTERS_MAX: usize = 20;
/// Letters that are seen at once.
const LETTERS_OPEN: usize = 2;
const BYTES_MAX: usize = 200;

/// Dead letters by stage and reason, and the last ones.
pub(super) fn dead_letters(pipeline: &PipelineStatus, view: &View) -> Markup {
    if pipeline.dead_letters.is_empty() && view.dead_letters.is_empty() {
        return html! { p.note { "No record became a dead letter." } };
    }
    let groups = &pipeline.dead_letters[..pipeline.dead_letters.len().min(GROUPS_MAX)];
    let last = &view.dead_letters[..view.dead_letters.len().min(LETTERS_MAX)];
    let (first, rest) = last.split_at(last.len().min(LETTERS_OPEN));
    html! {
        @if !groups.is_empty() { (scroll("s-groups", "Dead letters by reason", &by_reason(groups))) }
        (more(pipeline.dead_letters.len(), groups.len(), "reason"))
        @if !first.is_empty() {
            h3 { "The last ones" }
            (letters(first))
        }
        @if !rest.is_empty() { (fold("d-letters", &format!("{} more", count(rest.len() as u64)), &letters(rest))) }
    }
}

fn by_reason(groups: &[DeadLetterStatus]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Stage" } th scope="col" { "Reason" } (head("Count")) th scope="col" { "First place" } } }
            tbody {
                @for group in groups {
                    tr {
                        (row_head(&group.stage))
                        td.long {
                            (marked(&group.reason))
                            // Classes may read alike: what they leave out is in the reason of one of them.
                            @if group.first_reason != group.reason && !group.first_reason.is_empty() {
                                br; span.sub { "such as: " (marked(&group.first_reason)) }
                            }
                        }
                        td.n { (count(group.count)) }
                        td.long { (plain(&group.first_place)) }
                    }
                }
            }
        }
    }
}

fn letters(last: &[RecentDeadLetter]) -> Markup {
    html! {
        ol.letters {
            @for letter in last {
                li {
                    p { strong { (name(&letter.stage)) } ": " (marked(&letter.reason)) }
                    p.sub {
                        (time(&rfc3339(i64::try_from(letter.unix_ms).unwrap_or(i64::MAX)))) " · " (plain(&letter.place))
                    }
                    @match &letter.bytes {
                        Some(bytes) => pre { (shown(bytes)) },
                        None => p.note { "Its bytes are not known." },
                    }
                }
            }
        }
    }
}

/// Bytes as text where they are text, else escaped as in Rust: `\xff`.
fn shown(bytes: &[u8]) -> String {
    let kept = &bytes[..bytes.len().min(BYTES_MAX)];
    let text = match std::str::from_utf8(kept) {
        Ok(text) => plain(text).into_owned(),
        // The cut may go through a character.
        Err(error) if bytes.len() > BYTES_MAX && error.error_len().is_none() => {
            plain(&String::from_utf8_lossy(&kept[..error.valid_up_to()])).into_owned()
        }
        Err(_) => kept.escape_ascii().to_string(),
    };
    if bytes.len() > kept.len() { text + " …" } else { text }
}
