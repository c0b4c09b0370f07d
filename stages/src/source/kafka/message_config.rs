//! From the options of the source to the decoder of its messages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aqpipe_engine::record::{Field, Fields};
use aqpipe_engine::stage::{BuildContext, Problem};
use aqpipe_engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message_check::{MessageNames, check_unused};
use super::message_decoder::MessageOptions;
use crate::codec::json::{DecoderOptions, Others};
use crate::reading::time::{Cells, TimeReader, TimestampOptions, Zone};
use crate::reading::{FlagOptions, KeyOptions, NumberOptions, NumberReader, SOURCE_TEST};
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

/// The options that say how messages are read.
pub(super) struct MessageConfig<'a> {
    pub(super) format: MessageFormat,
    pub(super) timestamp: &'a TimestampOptions,
    pub(super) timezone: Option<&'a str>,
    pub(super) key: Option<&'a KeyOptions>,
    pub(super) fields: &'a [String],
    pub(super) text_fields: &'a [String],
    pub(super) others: OtherProperties,
    pub(super) rename: &'a BTreeMap<String, String>,
    pub(super) record: Option<&'a str>,
    pub(super) columns: &'a [String],
    pub(super) delimiter: Option<char>,
    pub(super) quote: Option<&'a str>,
    pub(super) flags: &'a BTreeMap<String, FlagOptions>,
    pub(super) numbers: NumberOptions,
}

impl MessageConfig<'_> {
    /// How decoders read them.
    pub(super) fn options(&self, cx: &BuildContext) -> Result<MessageOptions> {
        let judges = !self.numbers.value_marks.is_empty() || !self.flags.is_empty();
        let source_test = if judges { cx.qc_tests().bit(SOURCE_TEST) } else { 0 };
        if self.format == MessageFormat::Csv {
            let options = self.csv().options(cx.numeric_fields(), source_test, cx.keeps_raw())?;
            return Ok(MessageOptions::Csv(options));
        }
        let layout = self.layout();
        let zone = self.timezone.and_then(Zone::parse).unwrap_or_default();
        let others = match self.others {
            _ if layout.open => Others::Asked,
            OtherProperties::Keep => Others::Welcome,
            OtherProperties::Ignore => Others::Ignored,
        };
        Ok(MessageOptions::Json(Box::new(DecoderOptions {
            timestamp: self.timestamp.names().into_iter().map(str::to_owned).collect(),
            times: TimeReader::new(self.timestamp, zone).map_err(Error::config)?,
            key: self.key.map(KeyOptions::key),
            rename: self.rename.clone(),
            record: self.record.map(str::to_owned),
            declared: (!layout.open).then_some(layout),
            others,
            numeric: Arc::clone(cx.numeric_fields()),
            numbers: NumberReader::new(&self.numbers, source_test),
            flags: self.flags.clone(),
            source_test,
            tests: Arc::clone(cx.qc_tests()),
            keep_raw: cx.keeps_raw(),
        })))
    }

    /// Checks what says how messages are read; returns the fields that it promises.
    pub(super) fn check(&self) -> Result<Fields, Vec<Problem>> {
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
            timestamp: self.timestamp,
            key: self.key,
            fields: self.fields,
            text_fields: self.text_fields,
            rename: self.rename,
            flags: self.flags,
            record: self.record,
        };
        let mut problems = self.check_times();
        problems.extend(names.check());
        problems.extend(self.numbers.check());
        problems.extend(check_unused(&of_rows, "json", "are objects, not rows of cells"));
        let fields = self.layout();
        if ignores && fields.open {
            problems.push(
                Problem::new(["others"], "without `fields` nothing would be left of a record")
                    .help("name the wanted fields in `fields` or `text_fields`"),
            );
        }
        if problems.iter().all(|problem| problem.warning) { Ok(fields) } else { Err(problems) }
    }

    /// What is worth a word in options that `check` accepts: objects have nothing of the kind.
    pub(super) fn warnings(&self) -> Vec<Problem> {
        if self.format == MessageFormat::Csv { self.csv().warnings() } else { Vec::new() }
    }

    fn check_times(&self) -> Vec<Problem> {
        let zone = self.timezone.map(Zone::checked).transpose();
        let known = zone.as_ref().ok().map(|zone| zone.clone().unwrap_or_default());
        let mut problems = self.timestamp.check(Cells::Properties, known.as_ref());
        problems.extend(zone.err());
        problems
    }

    /// The options of messages of rows.
    fn csv(&self) -> CsvMessageTable {
        CsvMessageTable {
            columns: self.columns.to_vec(),
            delimiter: self.delimiter,
            quote: self.quote.map(str::to_owned),
            numbers: self.numbers.clone(),
            flags: self.flags.clone(),
            timestamp: self.timestamp.clone(),
            timezone: self.timezone.map(str::to_owned),
            key: self.key.cloned(),
            fields: self.fields.to_vec(),
            text_fields: self.text_fields.to_vec(),
            rename: self.rename.clone(),
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
        Fields { list, key: self.key.map(|key| key.name().as_ref().into()), score: None, open }
    }
}
