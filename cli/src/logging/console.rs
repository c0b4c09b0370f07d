//! The console: standard error, where progress and status are drawn too.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

use crate::progress::ProgressBars;
use crate::terminal;

/// Standard error; progress bars are hidden while a line is written.
#[derive(Clone)]
pub(super) struct Console(pub(super) ProgressBars);

impl io::Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || match terminal::is_shown() {
            // Without colours where the user wants none (`NO_COLOR`).
            true => anstream::stderr().write_all(bytes),
            false => io::stderr().write_all(bytes),
        };
        // Nobody reads a terminal that was closed, or a pipe: whoever logs goes on, and there is nowhere to say so.
        let _ = self.0.suspend(write);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Console {
    type Writer = Console;

    fn make_writer(&'w self) -> Console {
        self.clone()
    }
}
