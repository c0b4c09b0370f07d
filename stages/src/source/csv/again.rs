//! Rows of dead letters, read once more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aqpipe_engine::record::Batch;
use aqpipe_engine::stage::DeadLetterDecoder;
use aqpipe_engine::{Error, Result};

use super::config::CsvSourceConfig;
use super::decode::{Decoded, Decoder};
use super::dialect::Dialect;
use super::files;
use super::form::Form;
use super::plan::Plan;
use super::records::{Found, Records};

/// How many ways of reading rows are remembered: a directory of files has few.
const FORMS_MAX: usize = 64;

/// Reads one row at a time: with the columns that its letter has kept, or else with those of the files that are there.
pub(super) struct RowDeadLetterDecoder {
    config: Arc<CsvSourceConfig>,
    numeric: Arc<BTreeSet<String>>,
    keep_raw: bool,
    /// What the files that are there have; `None` where there are none.
    today: Option<Form>,
    /// What letters have kept, as they have it: how such rows are read, best first, or why they are not.
    known: HashMap<String, Ways>,
    /// Whether it was said that letters have kept nothing.
    said: bool,
}

type Ways = Result<Vec<(Decoder, Dialect)>, String>;

impl RowDeadLetterDecoder {
    pub(super) fn new(
        config: Arc<CsvSourceConfig>,
        numeric: Arc<BTreeSet<String>>,
        keep_raw: bool,
        today: Option<Form>,
    ) -> RowDeadLetterDecoder {
        RowDeadLetterDecoder { config, numeric, keep_raw, today, known: HashMap::new(), said: false }
    }

    /// How rows are read of which that was kept.
    fn ways(&mut self, kept: Option<&str>) -> Result<&mut Ways> {
        let key = kept.unwrap_or_default();
        if !self.known.contains_key(key) {
            let ways = match kept {
                Some(kept) => self.kept(kept),
                None => self.unkept()?,
            };
            if self.known.len() >= FORMS_MAX {
                self.known.clear();
            }
            self.known.insert(key.to_owned(), ways);
        }
        self.known.get_mut(key).ok_or_else(|| Error::bug("a way of reading that is lost"))
    }

    fn unkept(&mut self) -> Result<Ways> {
        let Some(today) = self.today.clone() else { return Err(files::nothing_there(&self.config.path)) };
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!("some dead letters do not say which columns they had: they are read with those of today");
        }
        Ok(self.decoder(&today, &today).map(|way| vec![way]))
    }

    fn kept(&self, kept: &str) -> Ways {
        let form = Form::parse(kept)?;
        let columns = match (form.columns.len(), &self.today) {
            (1.., _) => form.clone(),
            (0, Some(today)) if today.has_columns_of(&form) => form.with_columns_of(today),
            (0, _) => return Err("its columns are not those of today, and were too many to be kept".to_owned()),
        };
        let mut ways = vec![self.decoder(&columns, &form)?];
        if let Some(today) = &self.today {
            if !today.has_columns_of(&form) {
                tracing::warn!(
                    "some dead letters had other columns than the files have now: they are read with theirs"
                );
            }
            if !today.has_dialect_of(&form) {
                tracing::warn!(
                    "some dead letters were read with another `delimiter`, `quote` or `decimal` than those of now: they are \
                     read with theirs first, and with those of now where that fails"
                );
                ways.push(self.decoder(&columns, today)?);
            }
        }
        Ok(ways)
    }

    fn decoder(&self, columns: &Form, dialect: &Form) -> Result<(Decoder, Dialect), String> {
        let config = Arc::new(CsvSourceConfig { decimal: dialect.decimal, ..(*self.config).clone() });
        let made = Plan::new(&columns.columns, &config, &self.numeric)
            .and_then(|plan| Decoder::new(&config, plan, self.keep_raw));
        match made {
            Ok(decoder) => Ok((decoder, dialect.dialect())),
            Err(error) => Err(format!("its columns do not fit the options of now: {error}")),
        }
    }
}

impl DeadLetterDecoder for RowDeadLetterDecoder {
    fn decode(&mut self, origin: u64, raw: &[u8], form: Option<&str>) -> Result<Result<Batch, String>> {
        let ways = match self.ways(form)? {
            Ok(ways) => ways,
            Err(reason) => return Ok(Err(reason.clone())),
        };
        let mut first = None;
        for (decoder, dialect) in ways {
            match read(decoder, *dialect, origin, raw)? {
                Ok(batch) => return Ok(Ok(batch)),
                Err(reason) => drop(first.get_or_insert(reason)),
            }
        }
        Ok(Err(first.unwrap_or_default()))
    }
}

fn read(decoder: &mut Decoder, dialect: Dialect, origin: u64, raw: &[u8]) -> Result<Result<Batch, String>> {
    let failed = |error| Error::bug("bytes in memory cannot be read").because(error);
    let mut records = Records::new(raw, dialect, 0, raw.len() as u64, 1);
    let next = |records: &mut Records<&[u8]>| loop {
        match records.next() {
            Ok(Found::Read) => {}
            other => return other.map_err(failed),
        }
    };
    match next(&mut records)? {
        Found::Record => {}
        _ => return Ok(Err("its bytes are not a whole row".to_owned())),
    }
    let mut rows = decoder.rows(1);
    let mut decoded = decoder.decode(&records, origin, &mut rows);
    if matches!(decoded, Decoded::Changes) {
        // A field whose kind this row decides.
        rows = decoder.rows(1);
        decoded = decoder.decode(&records, origin, &mut rows);
    }
    match decoded {
        Decoded::Row => {}
        Decoded::Dead(reason) | Decoded::Broken(reason) => return Ok(Err(reason)),
        Decoded::Changes => return Err(Error::bug("a row that changes the fields twice")),
    }
    match next(&mut records)? {
        Found::End => decoder.batch(rows).map(Ok),
        _ => Ok(Err("its bytes are more than one row".to_owned())),
    }
}
