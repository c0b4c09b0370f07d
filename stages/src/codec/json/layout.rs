//! The known fields, and the order in which their properties are expected.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use aqpipe_engine::record::{Field, Fields, Kind};
use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::names::{Names, is_pointer};
use super::options::{DecoderOptions, Others};
use super::property_names::{QUALITY, SCORE};
use super::record_path::RecordPath;
use super::source_flags::SourceFlags;
use crate::reading::{Key, KeyOrigin};

/// Fields that records may have: a stream whose property names are data must not grow columns without limit.
const FIELDS_MAX: usize = 2_000;

const LAYOUT_FORMAT_VERSION: u8 = 1;

/// What is expected of a property that has no place at the top of a record: no property begins so.
const NOWHERE: &[u8] = b" ";

/// Stands in the order of a record's fields for a property that is none: the marks of a record count it.
pub(super) const IGNORED: usize = usize::MAX;

/// The part of a record that a property is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// A part of it, by its index.
    Timestamp(usize),
    /// A part of the key.
    Key(usize),
    Field(usize),
    /// A property with the publisher's codes.
    Code(usize),
    Quality,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) fields: Vec<Field>,
    /// Whether records have scores.
    pub(super) scored: bool,
    /// Counts the changes of the fields.
    pub(super) generation: u64,
    /// How many fields have only had nulls, so that their kind is unknown.
    pub(super) unknown_kinds: usize,
    /// The properties that are the timestamp.
    pub(super) timestamp: Vec<String>,
    pub(super) key: Option<Key>,
    /// How many fields are declared: the first ones.
    pub(super) asked: usize,
    pub(super) others: Others,
    pub(super) names: Names,
    pub(super) record: Option<RecordPath>,
    pub(super) flags: SourceFlags,
    open: bool,
    /// The kinds of fields by the sample.
    decided: BTreeMap<String, Kind>,
    numeric: Arc<BTreeSet<String>>,
    /// The measurements that are declared.
    declared: BTreeSet<Arc<str>>,
    /// Whether each field is a measurement, rather than one of numbers by chance.
    measurements: Vec<bool>,
    /// The properties in the order in which they are expected: `"NAME":`, and the part that it is.
    plan: Vec<(Box<[u8]>, Slot)>,
    /// The index of each property in the plan, by its own name.
    plan_index: HashMap<Arc<str>, usize>,
    /// The same by the name that is meant.
    meant: HashMap<Arc<str>, usize>,
    batch_fields: Arc<Fields>,
}

#[derive(Serialize, Deserialize)]
struct SavedLayout {
    version: u8,
    fields: Vec<Field>,
    scored: bool,
}

impl Layout {
    pub(super) fn new(options: &DecoderOptions) -> Layout {
        let declared = options.declared.clone().unwrap_or_default();
        let mut layout = Layout {
            fields: Vec::new(),
            scored: false,
            generation: 0,
            unknown_kinds: 0,
            timestamp: options.timestamp.clone(),
            key: options.key.clone(),
            asked: 0,
            others: options.others,
            names: Names::default(),
            record: options.record.as_deref().map(RecordPath::new),
            flags: SourceFlags::default(),
            open: options.declared.is_none() || declared.open,
            decided: BTreeMap::new(),
            numeric: with_flagged(options),
            declared: declared
                .list
                .iter()
                .filter(|field| field.kind == Kind::Number)
                .map(|field| Arc::clone(&field.name))
                .collect(),
            measurements: Vec::new(),
            plan: Vec::new(),
            plan_index: HashMap::new(),
            meant: HashMap::new(),
            batch_fields: Arc::default(),
        };
        layout.fields = declared.list.into_iter().filter(|field| !layout.is_reserved(&field.name)).collect();
        layout.asked = layout.fields.len();
        layout.flags = SourceFlags::new(&options.flags, &layout.fields, options.source_test);
        let fields = layout.fields.iter().map(|field| &*field.name);
        let others = layout.key_columns().iter().chain(&layout.flags.properties).chain(&layout.timestamp);
        let asked = fields.chain(others.map(String::as_str));
        layout.names = Names::new(&options.rename, asked);
        layout.rebuild();
        layout
    }

    /// Whether a field is a measurement that is declared, or that a stage uses as one.
    #[inline]
    pub(super) fn is_measurement(&self, index: usize) -> bool {
        self.measurements.get(index).copied().unwrap_or_default()
    }

    /// Whether a field of that name holds numbers, whatever its values are.
    pub(super) fn holds_numbers(&self, name: &str) -> bool {
        self.numeric.contains(name)
    }

    /// Whether the property `quality` has the marks of an earlier pipeline, rather than what was asked for.
    fn has_marks(&self) -> bool {
        let is_code = self.flags.properties.iter().any(|code| code == QUALITY);
        !is_code && !self.names.opens(QUALITY) && !self.names.opens("/quality")
    }

    /// Whether a name is that of a property that is no field.
    fn is_reserved(&self, name: &str) -> bool {
        let is_key = || self.key_name() == Some(name) || self.key_columns().iter().any(|column| column == name);
        let parts = self.timestamp.iter().chain(&self.flags.properties);
        name == QUALITY || is_key() || parts.into_iter().any(|part| part == name)
    }

    /// The fields whose kind is unknown before a record with these cells.
    pub(super) fn unknown_kinds<'a>(&'a self, cells: &'a [Cell]) -> impl Iterator<Item = usize> + 'a {
        let fields = self.fields.iter().take(cells.len()).enumerate();
        fields.filter(|(_, field)| field.kind == Kind::Unknown).map(|(index, _)| index)
    }

    /// Takes over the kinds that a sample has decided, for fields that are known and for those that come.
    pub(super) fn decide(&mut self, kinds: BTreeMap<String, Kind>) {
        for field in self.fields.iter_mut().filter(|field| field.kind == Kind::Unknown) {
            field.kind = kinds.get(&*field.name).copied().unwrap_or(Kind::Unknown);
        }
        self.decided = kinds;
        self.rebuild();
    }

    /// Works out everything that follows from the fields, after a change of them.
    fn rebuild(&mut self) {
        for field in self.fields.iter_mut().filter(|field| field.kind == Kind::Unknown) {
            if self.numeric.contains(&*field.name) {
                field.kind = Kind::Number;
            }
        }
        let is_measurement = |field: &Field| self.numeric.contains(&*field.name) || self.declared.contains(&field.name);
        self.measurements = self.fields.iter().map(is_measurement).collect();
        self.generation += 1;
        self.unknown_kinds = self.fields.iter().filter(|field| field.kind == Kind::Unknown).count();
        let fields = self.fields.iter().enumerate().map(|(index, field)| (Arc::clone(&field.name), Slot::Field(index)));
        let timestamp = self.timestamp.iter().enumerate();
        let mut slots: Vec<(Arc<str>, Slot)> =
            timestamp.map(|(index, name)| (name.as_str().into(), Slot::Timestamp(index))).collect();
        let key = self.key_columns().iter().enumerate();
        slots.extend(key.map(|(part, name)| (name.as_str().into(), Slot::Key(part))));
        slots.extend(fields);
        let codes = self.flags.properties.iter().enumerate();
        slots.extend(codes.map(|(code, name)| (name.as_str().into(), Slot::Code(code))));
        if self.has_marks() {
            slots.push((QUALITY.into(), Slot::Quality));
        }
        self.plan.clear();
        self.plan_index.clear();
        self.meant.clear();
        for (place, (name, slot)) in slots.into_iter().enumerate() {
            self.meant.entry(Arc::clone(&name)).or_insert(place);
            let properties = self.names.properties(&name);
            let expected = properties.first().filter(|property| !is_pointer(property)).map(|property| {
                let quoted = serde_json::to_string(property).unwrap_or_default();
                format!("{quoted}:").into_bytes()
            });
            self.plan.push((expected.unwrap_or_else(|| NOWHERE.to_vec()).into(), slot));
            for property in properties {
                self.plan_index.entry(property.into()).or_insert(place);
            }
        }
        self.flags.resolve(&self.fields);
        let kind = |kind| if kind == Kind::Unknown { Kind::Number } else { kind };
        self.batch_fields = Arc::new(Fields {
            list: self.fields.iter().map(|field| Field { kind: kind(field.kind), ..field.clone() }).collect(),
            key: self.key.as_ref().map(|key| Arc::clone(&key.name)),
            score: self.scored.then(|| SCORE.into()),
            open: self.open,
        });
    }

    /// The layout of a batch.
    pub(super) fn batch_fields(&self) -> Arc<Fields> {
        Arc::clone(&self.batch_fields)
    }

    pub(super) fn key_name(&self) -> Option<&str> {
        self.key.as_ref().map(|key| &*key.name)
    }

    /// The properties that make the key.
    pub(super) fn key_columns(&self) -> &[String] {
        self.key.as_ref().map_or(&[], Key::columns)
    }

    /// Whether the key is the message's.
    pub(super) fn has_message_key(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.origin == KeyOrigin::Message)
    }

    /// The bytes expected at a place of the plan, and the part that follows them.
    #[inline]
    pub(super) fn expected(&self, place: usize) -> Option<(&[u8], Slot)> {
        self.plan.get(place).map(|(bytes, slot)| (&**bytes, *slot))
    }

    /// The place of a known property in the plan, and the part that it is.
    pub(super) fn find(&self, name: &str) -> Option<(usize, Slot)> {
        let place = *self.plan_index.get(name)?;
        Some((place, self.plan[place].1))
    }

    /// Whether the name of an unknown property is free: that of the key is not, although the key may come from elsewhere.
    pub(super) fn is_free(&self, name: &str) -> bool {
        self.key_name() != Some(name) && !self.meant.contains_key(name)
    }

    /// The field of that name, as it is meant.
    fn field(&self, name: &str) -> Option<usize> {
        match self.plan[*self.meant.get(name)?].1 {
            Slot::Field(index) => Some(index),
            _ => None,
        }
    }

    /// The field that a property is, by its own name.
    pub(super) fn field_of(&self, property: &str) -> Option<usize> {
        match self.find(property)? {
            (_, Slot::Field(index)) => Some(index),
            _ => None,
        }
    }

    /// Whether that is the name of a property that is no field here, but may be one of its writer.
    pub(super) fn is_beside(&self, name: &str) -> bool {
        matches!(self.find(name), Some((_, Slot::Code(_) | Slot::Key(_))))
    }

    /// Why an unknown property cannot become a field, with `more` unknown ones before it in its record.
    pub(super) fn refuses(&self, name: &str, more: usize) -> Option<String> {
        (self.fields.len() + more >= FIELDS_MAX)
            .then(|| format!("the property `{name}` would be a field beyond the first {FIELDS_MAX}"))
    }

    /// Whether the name of a score's column is free.
    pub(super) fn has_room_for_score(&self) -> bool {
        self.key_name() != Some(SCORE) && self.field(SCORE).is_none()
    }

    /// Adds fields, and takes over what a record tells of known ones.
    pub(super) fn grow<'a>(
        &mut self,
        new: impl Iterator<Item = (&'a str, Kind)>,
        texts: &[usize],
        derived: &[String],
        scored: bool,
    ) {
        for (name, kind) in new {
            let decided = self.decided.get(name).copied().unwrap_or(kind);
            let kind = if self.numeric.contains(name) { Kind::Number } else { decided };
            self.fields.push(Field { name: name.into(), kind, derived: false });
        }
        for index in texts {
            self.fields[*index].kind = Kind::Text;
        }
        for field in self.fields.iter_mut().filter(|field| derived.iter().any(|name| **name == *field.name)) {
            field.derived = true;
        }
        self.scored |= scored;
        self.rebuild();
    }

    /// A field of unknown kind holds numbers, as batches say already.
    pub(super) fn decide_number(&mut self, index: usize) {
        self.fields[index].kind = Kind::Number;
        self.unknown_kinds -= 1;
    }

    /// The kinds that the sample has decided of fields that have not come yet.
    pub(super) fn decided(&self) -> Vec<(String, Kind)> {
        let coming = self.decided.iter().filter(|(name, _)| !self.meant.contains_key(name.as_str()));
        coming.map(|(name, kind)| (name.clone(), *kind)).collect()
    }

    pub(super) fn snapshot_state(&self) -> Vec<u8> {
        let saved = SavedLayout { version: LAYOUT_FORMAT_VERSION, fields: self.fields.clone(), scored: self.scored };
        // Names, kinds and flags: nothing that cannot be serialised.
        postcard::to_stdvec(&saved).unwrap_or_default()
    }

    /// Adds the fields of an earlier run behind the declared ones, which keep their place and kind.
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let unreadable = || Error::new("the saved fields of an earlier run cannot be read");
        let saved: SavedLayout = postcard::from_bytes(bytes).map_err(|error| unreadable().because(error))?;
        if saved.version != LAYOUT_FORMAT_VERSION {
            return Err(unreadable().help("another version of aqpipe saved them"));
        }
        for saved in saved.fields {
            match self.field(&saved.name) {
                None if self.is_reserved(&saved.name) || self.fields.len() >= FIELDS_MAX => {}
                None if self.others == Others::Ignored => {}
                None => self.fields.push(saved),
                Some(index) => {
                    let field = &mut self.fields[index];
                    field.derived |= saved.derived;
                    if field.kind == Kind::Unknown {
                        field.kind = saved.kind;
                    }
                }
            }
        }
        self.scored |= saved.scored && self.has_room_for_score();
        self.rebuild();
        Ok(())
    }
}

/// The fields that hold numbers whatever their first value is: those with the publisher's verdicts too.
fn with_flagged(options: &DecoderOptions) -> Arc<BTreeSet<String>> {
    if options.flags.is_empty() {
        return Arc::clone(&options.numeric);
    }
    Arc::new(options.numeric.iter().chain(options.flags.keys()).cloned().collect())
}
