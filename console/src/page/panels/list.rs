//! All panels in their order.

use aqpipe_engine::monitor::PipelineStatus;
use maud::{Markup, html};

use super::{
    alerts, dead_letters, fields, figures, heat, readings, runtime, scores, splits, stages, state, stations, throughput,
};
use crate::page::choice::Choice;
use crate::page::model::{Model, View};
use crate::page::parts;

/// What a panel is drawn by: all pipelines, or the chosen one.
enum Draw {
    Process(fn(&Model, &Choice) -> Markup),
    Pipeline(fn(&PipelineStatus, &View) -> Markup),
}

/// A part of the page.
pub(in crate::page) struct Panel {
    pub(in crate::page) id: &'static str,
    draw: Draw,
}

/// Panels under one heading.
pub(in crate::page) struct Card {
    pub(in crate::page) title: &'static str,
    pub(in crate::page) panels: &'static [Panel],
}

impl Panel {
    const fn new(id: &'static str, draw: fn(&PipelineStatus, &View) -> Markup) -> Panel {
        Panel { id, draw: Draw::Pipeline(draw) }
    }

    /// Its content.
    pub(in crate::page) fn draw(&self, model: &Model, choice: &Choice) -> Markup {
        match &self.draw {
            Draw::Process(draw) => draw(model, choice),
            Draw::Pipeline(draw) => match model.pipeline(choice) {
                Some(pipeline) => draw(pipeline, &model.view),
                None => html! { p.note { "No pipeline." } },
            },
        }
    }
}

/// Above the cards: which pipelines there are, how the chosen one is, what is wrong, and the numbers that are asked for most.
pub(in crate::page) const TOP: &[Panel] = &[
    Panel { id: "p-pipelines", draw: Draw::Process(state::pipelines) },
    Panel { id: "p-state", draw: Draw::Process(state::state) },
    Panel::new("p-alerts", alerts::alerts),
    Panel::new("p-figures", figures::figures),
];

/// The cards, by rows. A row of one card is as wide as the page, a row of two has columns.
pub(in crate::page) const ROWS: &[&[&[Card]]] = &[
    &[
        &[
            card("Throughput", &[Panel::new("p-throughput", throughput::throughput)]),
            card("What fails where", &[Panel::new("p-heat", heat::heat)]),
        ],
        &[
            card("Quality score", &[Panel::new("p-score", scores::trend)]),
            card("Distribution of scores", &[Panel::new("p-scores", scores::distribution)]),
        ],
    ],
    &[&[card("Fields", &[Panel::new("p-fields", fields::fields)])]],
    &[&[card(
        "Recent readings",
        &[Panel::new("p-choose", readings::choose), Panel::new("p-readings", readings::readings)],
    )]],
    &[
        &[
            card("Fills by field", &[Panel::new("p-fills", fields::fills)]),
            card("Lag by partition", &[Panel::new("p-lag", splits::splits)]),
        ],
        &[card("Newest reading by station", &[Panel::new("p-stations", stations::stations)])],
    ],
    &[&[card("Dead letters", &[Panel::new("p-dead", dead_letters::dead_letters)])]],
    &[&[card("Stages", &[Panel::new("p-stages", stages::stages)])]],
    &[&[card("Commits and connections", &[Panel::new("p-runtime", runtime::runtime)])]],
];

const fn card(title: &'static str, panels: &'static [Panel]) -> Card {
    Card { title, panels }
}

/// The time of the status.
pub(in crate::page) fn time(model: &Model) -> Markup {
    parts::time(&model.status.time)
}

/// Every part that changes: the id of its element and its content. The time comes first.
#[must_use]
pub fn panels(model: &Model, choice: &Choice) -> Vec<(&'static str, String)> {
    let first = [("p-time", time(model).into_string())];
    let cards = ROWS.iter().copied().flatten().copied().flatten();
    let others = TOP.iter().chain(cards.flat_map(|card| card.panels));
    first.into_iter().chain(others.map(|panel| (panel.id, panel.draw(model, choice).into_string()))).collect()
}
