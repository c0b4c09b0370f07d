//! Where log lines are written.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use tracing_subscriber::fmt::MakeWriter;

use crate::progress::ProgressBars;

/// A file that several threads append to, a line at a time.
#[derive(Clone)]
pub(super) struct LogFile(Arc<Mutex<File>>);

impl LogFile {
    pub(super) fn open(path: &Path) -> Result<LogFile> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("the log file {} cannot be opened", path.display()))?;
        Ok(LogFile(Arc::new(Mutex::new(file))))
    }
}

impl io::Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_or(Ok(bytes.len()), |mut file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for LogFile {
    type Writer = LogFile;

    fn make_writer(&'w self) -> LogFile {
        self.clone()
    }
}

/// Standard error; progress bars are hidden while a line is written.
#[derive(Clone)]
pub(super) struct Console(pub(super) ProgressBars);

impl io::Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'w> MakeWriter<'w> for Console {
    type Writer = Console;

    fn make_writer(&'w self) -> Console {
        self.clone()
    }
}
