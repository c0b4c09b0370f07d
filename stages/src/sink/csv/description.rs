//! What a data package says of the files: the types of their columns, units, and what the flags mean.

use aqpipe_engine::record::{Fields, Flag, Kind, Provenance, TIMESTAMP};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::codec::clock_codes::clock_code;
use crate::codec::csv::{CsvEncoder, Marks};

/// The resource of files with these fields, without its name and its path.
pub(super) fn resource(encoder: &CsvEncoder, fields: &Fields, units: &IndexMap<String, String>) -> Value {
    json!({
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "dialect": { "delimiter": char::from(encoder.delimiter).to_string(), "lineTerminator": "\n" },
        "schema": { "fields": columns(encoder, fields, units), "missingValues": [""] },
    })
}

fn columns(encoder: &CsvEncoder, fields: &Fields, units: &IndexMap<String, String>) -> Vec<Value> {
    let names = encoder.column_names(fields);
    let mut written = names.written.iter();
    let mut list = vec![column(TIMESTAMP, "datetime", "The instant, with the offset of the clock that wrote it.", &[])];
    let mut next = || written.next().map_or("", |name| &**name);
    if fields.key.is_some() {
        list.push(column(next(), "string", "The key of the record: its station or sensor.", &[]));
    }
    for field in &fields.list {
        let code = clock_code(field);
        let kind = match field.kind {
            Kind::Number if code.is_some() => "integer",
            Kind::Number => "number",
            Kind::Text | Kind::Unknown => "string",
        };
        let unit = units.get(&*field.name).map(|unit| ("unit", json!(unit)));
        let about = code.unwrap_or(if field.derived { "Computed from other fields." } else { "" });
        list.push(column(next(), kind, about, unit.as_slice()));
    }
    if fields.score.is_some() {
        let about = "The quality of the record: 1 where every value was observed and no test objected.";
        list.push(column(next(), "number", about, &[("constraints", json!({ "minimum": 0, "maximum": 1 }))]));
    }
    list.extend(marks(encoder.marks, fields, &names.written, &mut next));
    let others = [
        (encoder.partition, "partition", "string", "The partition, or the input, that the record was read from."),
        (encoder.offset, "offset", "integer", "Where the record starts in its partition."),
        (encoder.processed_at, "processed_at", "datetime", "When the record was written, in UTC."),
    ];
    list.extend(others.iter().filter(|other| other.0).map(|(_, name, kind, about)| column(name, kind, about, &[])));
    list
}

/// The columns that say of what quality the values are.
fn marks<'n>(marks: Marks, fields: &Fields, written: &[String], next: &mut impl FnMut() -> &'n str) -> Vec<Value> {
    let meanings: Map<String, Value> =
        Flag::ALL.iter().map(|flag| ((*flag as u8).to_string(), json!(flag.name()))).collect();
    let numbers: Vec<u8> = Flag::ALL.iter().map(|flag| *flag as u8).collect();
    let legend = Flag::ALL.iter().map(|flag| format!("{} {}", *flag as u8, flag.name())).collect::<Vec<_>>().join(", ");
    let mut list = Vec::new();
    match marks {
        Marks::None => return list,
        Marks::Text => {
            let about = format!("`q` and a QARTOD flag for each field, in the order of the columns: {legend}.");
            let pattern = format!("q[12349]{{{}}}", fields.list.len());
            let order = &written[usize::from(fields.key.is_some())..][..fields.list.len()];
            let more =
                [("constraints", json!({ "pattern": pattern })), ("flags", json!(meanings)), ("fields", json!(order))];
            list.push(column("qc_flags", "string", &about, &more));
        }
        Marks::Columns => {
            for field in fields.names() {
                let about = format!("The QARTOD flag of `{field}`: {legend}.");
                let more = [("constraints", json!({ "enum": numbers })), ("flags", json!(meanings))];
                list.push(column(next(), "integer", &about, &more));
            }
        }
    }
    let about = "Where values came from that the source did not have as numbers: FIELD=FILL, with `;` between. A number in \
                 parentheses counts the records to the donor.";
    let fills =
        Provenance::ALL.iter().filter(|it| it.is_listed()).map(|it| (it.name().to_owned(), json!(meaning(*it))));
    list.push(column("fills", "string", about, &[("fills", Value::Object(fills.collect()))]));
    list.push(column("tests", "string", "The tests that objected to values: FIELD=TEST, with `;` between.", &[]));
    list
}

/// What the fills of a provenance are.
fn meaning(fill: Provenance) -> &'static str {
    match fill {
        Provenance::Observed => "from the source",
        Provenance::ForwardFill => "the last value before it",
        Provenance::BackwardFill => "the first value after it",
        Provenance::Interpolated => "between the values around it",
        Provenance::Median => "a median of the field",
        Provenance::Constant => "a constant",
        Provenance::Derived => "computed from other fields",
        Provenance::Censored => "a limit of detection or a part of it: the source had `<0.5` or the like",
    }
}

fn column(name: &str, kind: &str, about: &str, more: &[(&str, Value)]) -> Value {
    let mut column = json!({ "name": name, "type": kind });
    if let Some(column) = column.as_object_mut() {
        if !about.is_empty() {
            column.insert("description".to_owned(), about.into());
        }
        column.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    }
    column
}
