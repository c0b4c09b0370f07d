//! Log lines for the eyes of somebody at a terminal.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};
use aqpipe_engine::printable::Printable;
use jiff::ZonedDateTime;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::event_text::write_event;
use super::pipeline_name::pipeline_of;
use crate::terminal;

/// The columns of `12:00:00  INFO `, which the lines of a message begin behind.
const HEAD_COLUMNS: usize = 15;

/// `12:00:00  WARN producer: message field=value`, with the time of the place and the level in colour, wrapped between words at
/// the width of the terminal.
pub(super) struct TerminalFormat;

impl<S, N> FormatEvent<S, N> for TerminalFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        let mut printable = Printable(&mut text);
        if let Some(name) = pipeline_of(context.event_scope(), event) {
            write!(printable, "{name}: ")?;
        }
        write_event(&mut printable, event)?;
        let time = ZonedDateTime::now().strftime("%H:%M:%S").to_string();
        out.write_str(&line(*event.metadata().level(), &time, &text, terminal::columns()))
    }
}

/// A message on as many lines as it needs, the first one with its head.
fn line(level: Level, time: &str, text: &str, columns: Option<usize>) -> String {
    let style = match level {
        Level::ERROR => AnsiColor::Red.on_default().bold(),
        Level::WARN => AnsiColor::Yellow.on_default().bold(),
        Level::INFO => Style::new(),
        _ => Style::new().dimmed(),
    };
    let dimmed = Style::new().dimmed();
    let lines = columns.map_or_else(|| vec![text.to_owned()], |columns| terminal::wrap(text, columns - HEAD_COLUMNS));
    let mut out = format!("{dimmed}{time}{dimmed:#} {style}{:>5}{style:#} ", level.as_str());
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            let _ = write!(out, "{:HEAD_COLUMNS$}", "");
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_the_terminal_and_its_level_is_in_colour() {
        let text = "job: no broker answers at 127.0.0.1:9 (connection refused); still trying, 11 s";
        let shown = line(Level::WARN, "12:00:00", text, Some(60));
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert_eq!(
            plain,
            "12:00:00  WARN job: no broker answers at 127.0.0.1:9\n               (connection refused); still trying, 11 s\n"
        );
        assert!(shown.contains("\u{1b}[1m\u{1b}[33m WARN\u{1b}[0m"), "{shown:?}");
        assert!(line(Level::ERROR, "12:00:00", text, None).contains("\u{1b}[31mERROR"), "in red");
        assert_eq!(line(Level::INFO, "12:00:00", text, None).matches('\n').count(), 1, "of unknown width");
    }
}
