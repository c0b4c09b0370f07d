//! A terminal that is drawn on as a whole, and given back as it was.

use std::cell::Cell;
use std::io::{self, Stdout, Write as _, stdout};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use aqpipe_engine::printable;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyModifiers, poll, read};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{execute, queue};

/// The size of a terminal that does not tell it.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// Beside the point.
    Quiet,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
}

/// The terminal, until this is dropped.
#[derive(Debug)]
pub(crate) struct Screen {
    has_colour: bool,
    resized: Cell<bool>,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn open() -> io::Result<Screen> {
        let has_colour = AutoStream::choice(&stdout()) != ColorChoice::Never;
        enable_raw_mode()?;
        // From here on, dropping it gives the terminal back, after an error too.
        let screen = Screen { has_colour, resized: Cell::new(false) };
        execute!(stdout(), EnterAlternateScreen, DisableLineWrap, Hide, Clear(ClearType::All))?;
        Ok(screen)
    }

    /// Its columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (columns, rows) = size().unwrap_or(USUAL_SIZE);
        (columns.into(), rows.into())
    }

    /// Draws lines in the place of those before; those that find no room are counted on the last one.
    pub(crate) fn draw(&self, lines: &[(Tone, String)], columns: usize, rows: usize) -> io::Result<()> {
        let mut out = stdout().lock();
        queue!(out, MoveTo(0, 0))?;
        let shown = if lines.len() > rows { rows.saturating_sub(1) } else { lines.len() };
        for (row, (tone, line)) in lines[..shown].iter().enumerate() {
            self.line(&mut out, row, *tone, line)?;
            // Behind the last row, it would push the first one out.
            if row + 1 < rows {
                queue!(out, Print("\r\n"))?;
            }
        }
        if shown < lines.len() {
            let more = format!("… {} more lines: make the terminal higher", lines.len() - shown);
            self.line(&mut out, shown, Tone::Quiet, &more.chars().take(columns).collect::<String>())?;
        } else if shown < rows {
            queue!(out, MoveTo(0, row_of(shown)), Clear(ClearType::FromCursorDown))?;
        }
        out.flush()
    }

    fn line(&self, out: &mut io::StdoutLock<'_>, row: usize, tone: Tone, line: &str) -> io::Result<()> {
        queue!(out, MoveTo(0, row_of(row)), Clear(ClearType::CurrentLine))?;
        match tone {
            _ if !self.has_colour => {}
            Tone::Plain => {}
            Tone::Quiet => queue!(out, SetAttribute(Attribute::Dim))?,
            Tone::Good => queue!(out, SetForegroundColor(Color::Green), SetAttribute(Attribute::Bold))?,
            Tone::Warn => queue!(out, SetForegroundColor(Color::Yellow), SetAttribute(Attribute::Bold))?,
            Tone::Bad => queue!(out, SetForegroundColor(Color::Red), SetAttribute(Attribute::Bold))?,
        }
        queue!(out, Print(printable::line(line)))?;
        if self.has_colour {
            queue!(out, ResetColor, SetAttribute(Attribute::Reset))?;
        }
        Ok(())
    }

    /// Waits for a key, and says whether it asks to end: `q`, Escape, Ctrl-C.
    pub(crate) fn is_asked_to_end(&self, at_most: Duration) -> io::Result<bool> {
        if !poll(at_most)? {
            return Ok(false);
        }
        Ok(match read()? {
            Event::Key(key) => match key.code {
                KeyCode::Char('q') | KeyCode::Esc => true,
                KeyCode::Char('c' | 'd') => key.modifiers.contains(KeyModifiers::CONTROL),
                _ => false,
            },
            Event::Resize(..) => {
                self.resized.set(true);
                false
            }
            _ => false,
        })
    }

    /// Whether its size changed since this was asked last.
    pub(crate) fn is_resized(&self) -> bool {
        self.resized.take()
    }
}

fn row_of(row: usize) -> u16 {
    u16::try_from(row).unwrap_or(u16::MAX)
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out: Stdout = stdout();
        let _ = execute!(out, Show, EnableLineWrap, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}
