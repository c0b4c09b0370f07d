//! From the options of the source to the decoder of its messages.

use std::collections::BTreeSet;
use std::sync::Arc;

use aqpipe_engine::record::{Field, Fields};
use aqpipe_engine::stage::{BuildContext, Problem};
use aqpipe_engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::KafkaSourceConfig;
use super::message_check::{MessageNames, check_unused};
use super::message_decoder::MessageOptions;
use crate::codec::json::{DecoderOptions, Others};
use crate::reading::time::{Cells, TimeReader, Zone};
use crate::reading::{KeyOptions, NumberOptions, NumberReader, SOURCE_TEST};
use crate::source::csv::CsvMessageTable;

/// What a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum MessageFormat {
    #[default]
    Json,
    Csv,
}

/// What becomes of properties that are not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum OtherProperties {
    #[default]
    Keep,
    Ignore,
}

impl KafkaSourceConfig {
    pub(super) fn messages(&self, cx: &BuildContext) -> Result<MessageOptions> {
        let judges = !self.value_marks.is_empty() || !self.flags.is_empty();
        let source_test = if judges { cx.qc_tests().bit(SOURCE_TEST) } else { 0 };
        if self.format == MessageFormat::Csv {
            let options = self.csv().options(cx.numeric_fields(), source_test, cx.keeps_raw())?;
            return Ok(MessageOptions::Csv(options));
        }
        let layout = self.layout();
        let zone = self.timezone.as_deref().and_then(Zone::parse).unwrap_or_default();
        let others = match self.others {
            _ if layout.open => Others::Asked,
            OtherProperties::Keep => Others::Welcome,
            OtherProperties::Ignore => Others::Ignored,
        };
        Ok(MessageOptions::Json(Box::new(DecoderOptions {
            timestamp: self.timestamp.names().into_iter().map(str::to_owned).collect(),
            times: TimeReader::new(&self.timestamp, zone).map_err(Error::config)?,
            key: self.key.as_ref().map(KeyOptions::key),
            rename: self.rename.clone(),
            record: self.record.clone(),
            declared: (!layout.open).then_some(layout),
            others,
            numeric: Arc::clone(cx.numeric_fields()),
            numbers: NumberReader::new(&self.numbers(), source_test),
            flags: self.flags.clone(),
            source_test,
            tests: Arc::clone(cx.qc_tests()),
            keep_raw: cx.keeps_raw(),
        })))
    }

    /// Checks what says how messages are read; returns the fields that it promises.
    pub(super) fn check_messages(&self) -> Result<Fields, Vec<Problem>> {
        let of_rows = [
            ("columns", !self.columns.is_empty()),
            ("delimiter", self.delimiter.is_some()),
            ("quote", self.quote.is_some()),
        ];
        let ignores = self.others == OtherProperties::Ignore;
        if self.format == MessageFormat::Csv {
            let of_objects = [("record", self.record.is_some()), ("others", ignores)];
            let mut problems = check_unused(&of_objects, "csv", "have columns and no properties");
            if self.columns.is_empty() {
                problems.push(
                    Problem::new(["format"], "messages of rows have no header: `columns` must name their columns")
                        .help("columns = [\"time\", \"station\", …], with \"\" for a column to be ignored"),
                );
                return Err(problems);
            }
            return match self.csv().check() {
                Ok(fields) if problems.is_empty() => Ok(fields),
                checked => Err(problems.into_iter().chain(checked.err().into_iter().flatten()).collect()),
            };
        }
        let names = MessageNames {
            timestamp: &self.timestamp,
            key: self.key.as_ref(),
            fields: &self.fields,
            text_fields: &self.text_fields,
            rename: &self.rename,
            flags: &self.flags,
            record: self.record.as_deref(),
        };
        let mut problems = self.check_times();
        problems.extend(names.check());
        problems.extend(self.numbers().check());
        problems.extend(check_unused(&of_rows, "json", "are objects, not rows of cells"));
        let fields = self.layout();
        if ignores && fields.open {
            problems.push(
                Problem::new(["others"], "without `fields` nothing would be left of a record")
                    .help("name the wanted fields in `fields` or `text_fields`"),
            );
        }
        if problems.is_empty() { Ok(fields) } else { Err(problems) }
    }

    fn check_times(&self) -> Vec<Problem> {
        let zone = self.timezone.as_deref().map(Zone::checked).transpose();
        let known = zone.as_ref().ok().map(|zone| zone.clone().unwrap_or_default());
        let mut problems = self.timestamp.check(Cells::Properties, known.as_ref());
        problems.extend(zone.err());
        problems
    }

    /// The options of messages of rows.
    fn csv(&self) -> CsvMessageTable {
        CsvMessageTable {
            columns: self.columns.clone(),
            delimiter: self.delimiter,
            quote: self.quote.clone(),
            numbers: self.numbers(),
            flags: self.flags.clone(),
            timestamp: self.timestamp.clone(),
            timezone: self.timezone.clone(),
            key: self.key.clone(),
            fields: self.fields.clone(),
            text_fields: self.text_fields.clone(),
            rename: self.rename.clone(),
        }
    }

    /// How measurements are read.
    pub(super) fn numbers(&self) -> NumberOptions {
        NumberOptions {
            decimal: self.decimal,
            thousands: self.thousands,
            missing: self.missing.clone(),
            words: self.words.clone(),
            censored: self.censored,
            value_marks: self.value_marks.clone(),
        }
    }

    /// The fields that were asked for, here or by a stage; `None` where all are.
    pub(super) fn asked(&self, cx: &BuildContext) -> Option<BTreeSet<String>> {
        let layout = self.layout();
        let declared = layout.list.iter().map(|field| field.name.to_string());
        (!layout.open).then(|| declared.chain(cx.numeric_fields().iter().cloned()).collect())
    }

    /// The fields that are declared.
    pub(super) fn layout(&self) -> Fields {
        let numbers = self.fields.iter().map(|name| Field::number(name));
        let texts = self.text_fields.iter().map(|name| Field::text(name));
        let list: Vec<Field> = numbers.chain(texts).collect();
        let open = list.is_empty();
        Fields { list, key: self.key.as_ref().map(|key| key.name().as_ref().into()), score: None, open }
    }
}
