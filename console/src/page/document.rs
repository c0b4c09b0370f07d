//! The page as a whole.

use maud::{DOCTYPE, Markup, html};

use super::choice::Choice;
use super::model::Model;
use super::panels::{Card, ROWS, TOP, time};
use super::parts::plain;

/// The page with the state at the time of loading.
#[must_use]
pub fn index(model: &Model, choice: &Choice) -> Markup {
    let name = model.pipeline(choice).map_or("aqpipe", |pipeline| &pipeline.name);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (plain(name)) " – aqpipe" }
                link rel="icon" type="image/svg+xml" href="/icon.svg";
                link rel="stylesheet" href="/pictures.css";
                link rel="stylesheet" href="/page.css";
                script src="/page.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to the pipeline" }
                header.bar {
                    strong.brand { "aqpipe" }
                    span.version { (plain(&model.status.version)) }
                    p.link role="status" id="link" data-link="none" {
                        span.at { "As of " span id="p-time" { (time(model)) } " UTC " }
                        span.way id="way" {}
                    }
                }
                noscript { p.note { "Without scripts the numbers are those of the time above. " a href="" { "Load them again" } } }
                main id="main" tabindex="-1" {
                    @for panel in TOP { div id=(panel.id) { (panel.draw(model, choice)) } }
                    @for row in ROWS {
                        div.row {
                            @for column in *row { div.column { @for one in *column { (card(one, model, choice)) } } }
                        }
                    }
                }
                footer {
                    nav aria-label="Other forms of these numbers" {
                        a href="/metrics" { "/metrics" } " "
                        a href="/health" { "/health" } " "
                        a href="/ready" { "/ready" } " "
                        a href="/api/status" { "/api/status" }
                    }
                }
            }
        }
    }
}

fn card(card: &Card, model: &Model, choice: &Choice) -> Markup {
    let heading = card.panels.first().map_or_else(String::new, |panel| format!("{}-title", panel.id));
    html! {
        section.card aria-labelledby=(heading) {
            h2 id=(heading) { (card.title) }
            @for panel in card.panels { div id=(panel.id) { (panel.draw(model, choice)) } }
        }
    }
}
