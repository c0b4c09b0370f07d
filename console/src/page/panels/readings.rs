//! The last readings of one field at one station.

use aqpipe_engine::monitor::PipelineStatus;
use maud::{Markup, PreEscaped, html};

use crate::names::name;
use crate::page::model::View;
use crate::pictures::{Frame, series};

/// The form by which a station and a field are chosen. It asks for the page itself, so that it needs no script.
pub(super) fn choose(pipeline: &PipelineStatus, view: &View) -> Markup {
    if view.stations.is_empty() {
        return html! { p.note { "No reading came out yet." } };
    }
    html! {
        form.choose method="get" action="/#p-choose-title" {
            input type="hidden" name="pipeline" value=(pipeline.name);
            p { label for="station" { "Station" } (select("station", &view.stations, view.station.as_deref())) }
            p { label for="field" { "Field" } (select("field", &view.fields, view.field.as_deref())) }
            button type="submit" id="show" { "Show" }
        }
    }
}

fn select(name: &str, options: &[String], chosen: Option<&str>) -> Markup {
    html! {
        select id=(name) name=(name) {
            @for option in options {
                option value=(option) selected[chosen == Some(option)] {
                    @if option.is_empty() { "(no key)" } @else { (crate::names::name(option)) }
                }
            }
        }
    }
}

/// The plot of these readings.
pub(super) fn readings(_: &PipelineStatus, view: &View) -> Markup {
    let Some(field) = &view.field else { return html! { p.note { "No reading came out yet." } } };
    let title = match view.station.as_deref() {
        None | Some("") => name(field).into_owned(),
        Some(station) => format!("{} at {}", name(field), name(station)),
    };
    html! {
        p.caption { "The last readings that came out, committed or not. Failures far off the scale stand at its edge." }
        div.plot { (PreEscaped(series(Frame::full(&title), Some(field), &view.readings, &[]))) }
        div.plot-narrow { (PreEscaped(series(Frame::half(&title), Some(field), &view.readings, &[]))) }
    }
}
