//! Parts of a page.

use maud::{Markup, PreEscaped, html};

use super::budget::Budget;
use super::text::{counted, name};
use crate::names::is_long;

/// A section with a title of its own.
pub(super) fn section(id: &str, title: &str, body: &Markup) -> Markup {
    html! { section id=(id) { h2 { (title) } (body) } }
}

/// A picture with what it shows above it; what it does not fit into is said in its place.
pub(super) fn picture(budget: &mut Budget, caption: &str, svg: &str) -> Markup {
    draw(budget, caption, svg, "wide")
}

/// The same in half of the width.
pub(super) fn small_picture(budget: &mut Budget, caption: &str, svg: &str) -> Markup {
    draw(budget, caption, svg, "small")
}

fn draw(budget: &mut Budget, caption: &str, svg: &str, class: &str) -> Markup {
    // Pictures know of UTC alone; the times of a report are those of the clock that wrote them.
    let svg = svg.replace(" UTC", "");
    match budget.take(svg) {
        Some(svg) => html! { figure class=(class) { figcaption { (caption) } div.scroll { (PreEscaped(svg)) } } },
        None => left_out(caption),
    }
}

/// Says that something has no room on the page.
pub(super) fn left_out(what: &str) -> Markup {
    html! { p.left-out { (what) ": no room on this page of 1 MB. " code { "--format json" } " has its figures." } }
}

/// A table whose cells are texts. Columns but for those of `words` are numbers.
pub(super) fn table(
    budget: &mut Budget,
    caption: &str,
    head: &[&str],
    words: &[usize],
    rows: &[Vec<String>],
) -> Markup {
    let is_number = |column: usize| !words.contains(&column);
    let table = html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for (at, title) in head.iter().enumerate() { th scope="col" .n[is_number(at)] { (title) } } } }
                tbody {
                    @for row in rows {
                        tr { @for (at, cell) in row.iter().enumerate() { td .n[is_number(at)] .w[is_long(cell)] { (cell) } } }
                    }
                }
            }
        }
    };
    match budget.take(table.into_string()) {
        Some(table) => PreEscaped(table),
        None => left_out(caption),
    }
}

/// Says how many rows are not shown; `what` is one of them.
pub(super) fn rest(shown: usize, all: usize, what: &str) -> Markup {
    let left = all.saturating_sub(shown) as u64;
    html! {
        @if left > 0 {
            p.left-out { "Not shown here: " (counted(left, &format!("more {what}"))) ". " code { "--format json" } " has all." }
        }
    }
}

/// A few names, and how many more there are.
pub(super) fn names(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(|one| name(one)).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
