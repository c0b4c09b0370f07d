//! The sink `stdout`: the standard output.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::Arc;

use aqpipe_engine::printable;
use aqpipe_engine::record::{Batch, Fields, OffsetRange, QcTests, SplitId};
use aqpipe_engine::schemars::{self, JsonSchema};
use aqpipe_engine::stage::{
    BuildContext, DeadLetter, Delivery, Descriptor, Prepared, Problem, Sink, SinkConfig, Writer,
};
use aqpipe_engine::{Error, Result};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::codec::csv::{BatchContext, CsvEncoder};
use crate::codec::json::{Encoder, reserved_name};

/// Writes records to the standard output: for looking at them and for pipes. Nothing else is written there during such a
/// run.
///
/// Records of several splits come in turns, a batch at a time; within a split they are in order. After a crash what was
/// under way may come twice. When the reader of a pipe leaves (`| head`), the run stops without an error, having
/// committed what had been written before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StdoutSinkConfig {
    /// How a record looks.
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// One JSON object a line, as the `kafka` sink writes it.
    #[default]
    Ndjson,
    /// Lines as the `csv` sink writes them, with a header at the start and whenever the fields change.
    Csv,
}

impl SinkConfig for StdoutSinkConfig {
    fn check(&self, input: &Fields) -> Result<(), Vec<Problem>> {
        let taken = match self.format {
            Format::Ndjson => reserved_name(input),
            Format::Csv => CsvEncoder::default().reserved_name(input),
        };
        let problem = |name| {
            Problem::new(["format"], format!("a field is called `{name}`, as another part of the output is"))
                .help("rename the field in the source")
        };
        taken.map_or(Ok(()), |name| Err(vec![problem(name)]))
    }

    fn delivery(&self) -> Delivery {
        Delivery::AtLeastOnce
    }

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Sink>> {
        let out: Box<dyn Write + Send> = match io::stdout().is_terminal() {
            true => Box::new(TerminalWriter { out: io::stdout(), format: self.format }),
            false => Box::new(io::stdout()),
        };
        Ok(Arc::new(StdoutSink::new(out, self.format, cx)))
    }
}

const EXAMPLE: &str = "format = \"ndjson\"\n";

aqpipe_engine::inventory::submit! { Descriptor::sink::<StdoutSinkConfig>("stdout", EXAMPLE) }

/// Writes to a terminal: escapes characters that it would obey or not show. In a pipe and in a file records stay as they are.
struct TerminalWriter<W> {
    out: W,
    format: Format,
}

impl<W: Write> Write for TerminalWriter<W> {
    /// `bytes` are whole records, as they are handed to the buffer before it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        if self.format == Format::Ndjson {
            self.out.write_all(printable::json(&text).as_bytes())?;
            return Ok(bytes.len());
        }
        for line in text.split_inclusive('\n') {
            let end = if line.ends_with('\n') { "\n" } else { "" };
            let shown = printable::line(line.strip_suffix('\n').unwrap_or(line));
            self.out.write_all(shown.as_bytes())?;
            self.out.write_all(end.as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

struct StdoutSink {
    state: Arc<Mutex<StdoutState>>,
    format: Format,
    cx: BuildContext,
}

/// What all splits share.
struct StdoutState {
    out: BufWriter<Box<dyn Write + Send>>,
    /// The fields of the last header.
    header: Option<Arc<Fields>>,
}

impl StdoutSink {
    fn new(out: Box<dyn Write + Send>, format: Format, cx: &BuildContext) -> StdoutSink {
        let state = StdoutState { out: BufWriter::with_capacity(64 << 10, out), header: None };
        StdoutSink { state: Arc::new(Mutex::new(state)), format, cx: cx.clone() }
    }
}

impl Sink for StdoutSink {
    fn open(&self, _split: &SplitId, _epoch: u64) -> Result<Box<dyn Writer>> {
        Ok(Box::new(StdoutWriter {
            state: Arc::clone(&self.state),
            format: self.format,
            encoder: Encoder::new(Arc::clone(self.cx.qc_tests())),
            tests: Arc::clone(self.cx.qc_tests()),
            encoded: Vec::new(),
            ends: Vec::new(),
        }))
    }
}

struct StdoutWriter {
    state: Arc<Mutex<StdoutState>>,
    format: Format,
    encoder: Encoder,
    tests: Arc<QcTests>,
    encoded: Vec<u8>,
    ends: Vec<usize>,
}

impl Writer for StdoutWriter {
    fn write(&mut self, batch: Batch, _dead: &mut Vec<DeadLetter>) -> Result<()> {
        if batch.rows() == 0 {
            return Ok(());
        }
        self.encoded.clear();
        self.ends.clear();
        match self.format {
            Format::Csv => {
                let common = BatchContext { tests: &self.tests.names(), ..BatchContext::default() };
                CsvEncoder::default().write_rows(&batch, common, &mut self.encoded);
            }
            Format::Ndjson => self.encoder.encode(&batch, &mut self.encoded, &mut self.ends)?,
        }
        let mut state = self.state.lock();
        self.write_out(&mut state, &batch).map_err(write_error)
    }

    fn prepare(&mut self, _span: OffsetRange) -> Result<Prepared> {
        self.state.lock().out.flush().map_err(write_error)?;
        Ok(Prepared::Nothing)
    }
}

impl StdoutWriter {
    fn write_out(&self, state: &mut StdoutState, batch: &Batch) -> io::Result<()> {
        if self.format == Format::Csv {
            if state.header.as_ref() != Some(batch.fields()) {
                let mut header = Vec::new();
                CsvEncoder::default().write_header(batch.fields(), &mut header);
                state.out.write_all(&header)?;
                state.header = Some(Arc::clone(batch.fields()));
            }
            return state.out.write_all(&self.encoded);
        }
        let mut start = 0;
        for end in &self.ends {
            state.out.write_all(&self.encoded[start..*end])?;
            state.out.write_all(b"\n")?;
            start = *end;
        }
        Ok(())
    }
}

fn write_error(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Error::stop("the reader of the standard output has left");
    }
    Error::new("cannot write to the standard output").because(error)
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::ErrorKind;
    use aqpipe_engine::record::{BatchParts, Column, Field, Numbers};

    use super::*;

    #[test]
    fn a_terminal_gets_records_that_it_neither_obeys_nor_hides() {
        for (format, given, shown) in [
            (Format::Ndjson, "{\"T\":\"\u{9b}31m\u{202e}\"}\n", "{\"T\":\"\\u009b31m\\u202e\"}\n"),
            (Format::Csv, "time,\u{1b}[2J\nx,µ\u{200b}\n", "time,\\u{1b}[2J\nx,µ\\u{200b}\n"),
        ] {
            let mut out = Vec::new();
            TerminalWriter { out: &mut out, format }.write_all(given.as_bytes()).expect("written");
            assert_eq!(String::from_utf8_lossy(&out), shown);
        }
    }

    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<Vec<u8>>>, bool);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn batch(field: &str) -> Batch {
        Batch::new(BatchParts {
            fields: Arc::new(Fields { list: vec![Field::number(field)], ..Fields::default() }),
            time: vec![0, 1_000_000].into(),
            utc_offset: vec![0, 0].into(),
            key: None,
            columns: vec![Column::Number(Numbers::observed(vec![1.5, 2.0].into()))],
            score: None,
            source_offsets: vec![0, 1].into(),
            raw: None,
        })
        .expect("fits")
    }

    fn written(format: Format, fields: &[&str]) -> String {
        let pipe = Pipe::default();
        let sink = StdoutSink::new(Box::new(pipe.clone()), format, &BuildContext::for_tests());
        for field in fields {
            let mut writer = sink.open(&"split".into(), 0).expect("opens");
            writer.write(batch(field), &mut Vec::new()).expect("writes");
            writer.prepare(OffsetRange::default()).expect("flushes");
        }
        let bytes = pipe.0.lock().clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_header_comes_first_and_again_when_the_fields_change() {
        insta::assert_snapshot!(written(Format::Csv, &["a", "a", "b"]), @r"
        timestamp,a,qc_flags,fills,tests
        1970-01-01T00:00:00Z,1.5,q2,,
        1970-01-01T00:00:01Z,2.0,q2,,
        1970-01-01T00:00:00Z,1.5,q2,,
        1970-01-01T00:00:01Z,2.0,q2,,
        timestamp,b,qc_flags,fills,tests
        1970-01-01T00:00:00Z,1.5,q2,,
        1970-01-01T00:00:01Z,2.0,q2,,
        ");
    }

    #[test]
    fn every_record_is_a_line_of_json() {
        let text = written(Format::Ndjson, &["a", "b"]);
        assert_eq!(text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(), 4);
    }

    #[test]
    fn a_reader_that_leaves_stops_the_run_without_a_failure() {
        let sink = StdoutSink::new(Box::new(Pipe(Arc::default(), true)), Format::Csv, &BuildContext::for_tests());
        let mut writer = sink.open(&"split".into(), 0).expect("opens");
        let written = writer.write(batch("a"), &mut Vec::new()).and_then(|()| writer.prepare(OffsetRange::default()));
        assert_eq!(written.map(drop).map_err(|error| error.kind()), Err(ErrorKind::Stop));
    }
}
