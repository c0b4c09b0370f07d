//! The fields that are known, and where their properties are expected.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aqpipe_engine::record::{Field, Fields, Kind};
use aqpipe_engine::{Error, Result};
use serde::{Deserialize, Serialize};

use super::row::Cell;
use super::{DecoderOptions, QUALITY, SCORE};

/// How many fields records may have: a stream whose property names are data must not grow columns without end.
const MOST_FIELDS: usize = 2_000;

const VERSION: u8 = 1;

/// What a property is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Timestamp,
    Key,
    Field(usize),
    Quality,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) fields: Vec<Field>,
    /// Whether records have scores.
    pub(super) scored: bool,
    /// How often the fields changed.
    pub(super) generation: u64,
    /// How many fields have only had nulls.
    pub(super) undecided: usize,
    pub(super) timestamp: String,
    key: Option<Arc<str>>,
    open: bool,
    numeric: Arc<BTreeSet<String>>,
    /// The properties in the order in which they are expected: `"NAME":` and what it is.
    plan: Vec<(Box<[u8]>, Slot)>,
    /// The place of each property in the plan.
    places: HashMap<Arc<str>, usize>,
    shared: Arc<Fields>,
}

#[derive(Serialize, Deserialize)]
struct Carried {
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
            undecided: 0,
            timestamp: options.timestamp.clone(),
            key: options.key.as_deref().map(Into::into),
            open: options.declared.is_none() || declared.open,
            numeric: Arc::clone(&options.numeric),
            plan: Vec::new(),
            places: HashMap::new(),
            shared: Arc::default(),
        };
        layout.fields = declared.list.into_iter().filter(|field| !layout.is_taken(&field.name)).collect();
        layout.changed();
        layout
    }

    /// Whether a name belongs to a property that is not a field's.
    fn is_taken(&self, name: &str) -> bool {
        name == self.timestamp || name == QUALITY || self.key.as_deref() == Some(name)
    }

    /// After the fields changed: what follows from them.
    fn changed(&mut self) {
        for field in self.fields.iter_mut().filter(|field| field.kind == Kind::Unknown) {
            if self.numeric.contains(&*field.name) {
                field.kind = Kind::Number;
            }
        }
        self.generation += 1;
        self.undecided = self.fields.iter().filter(|field| field.kind == Kind::Unknown).count();
        let fields = self.fields.iter().enumerate().map(|(index, field)| (Arc::clone(&field.name), Slot::Field(index)));
        let mut slots = vec![(self.timestamp.as_str().into(), Slot::Timestamp)];
        slots.extend(self.key.iter().map(|key| (Arc::clone(key), Slot::Key)));
        slots.extend(fields);
        slots.push((QUALITY.into(), Slot::Quality));
        self.plan.clear();
        self.places.clear();
        for (place, (name, slot)) in slots.into_iter().enumerate() {
            let quoted = serde_json::to_string(&*name).unwrap_or_default();
            self.plan.push((format!("{quoted}:").into_bytes().into(), slot));
            self.places.insert(name, place);
        }
        let kind = |kind| if kind == Kind::Unknown { Kind::Number } else { kind };
        self.shared = Arc::new(Fields {
            list: self.fields.iter().map(|field| Field { kind: kind(field.kind), ..field.clone() }).collect(),
            key: self.key.clone(),
            score: self.scored.then(|| SCORE.into()),
            open: self.open,
        });
    }

    /// The layout of a batch.
    pub(super) fn shared(&self) -> Arc<Fields> {
        Arc::clone(&self.shared)
    }

    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    pub(super) fn key_name(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// The bytes expected at a place of the plan, and what they introduce.
    #[inline]
    pub(super) fn expected(&self, place: usize) -> Option<(&[u8], Slot)> {
        self.plan.get(place).map(|(bytes, slot)| (&**bytes, *slot))
    }

    /// The place in the plan, and what it is, of a property that is known.
    pub(super) fn find(&self, name: &str) -> Option<(usize, Slot)> {
        let place = *self.places.get(name)?;
        Some((place, self.plan[place].1))
    }

    /// The field of that name.
    pub(super) fn field(&self, name: &str) -> Option<usize> {
        match self.find(name)? {
            (_, Slot::Field(index)) => Some(index),
            _ => None,
        }
    }

    /// Why an unknown property cannot become a field, with `more` of them before it in its record.
    pub(super) fn refuses(&self, name: &str, more: usize) -> Option<String> {
        (self.fields.len() + more >= MOST_FIELDS)
            .then(|| format!("the property `{name}` would be a field beyond the first {MOST_FIELDS}"))
    }

    /// Whether a score can have a column of its own.
    pub(super) fn has_room_for_score(&self) -> bool {
        self.key.as_deref() != Some(SCORE) && self.field(SCORE).is_none()
    }

    /// Knows new fields, and what is new of known ones.
    pub(super) fn grow<'a>(
        &mut self,
        new: impl Iterator<Item = (&'a str, &'a Cell)>,
        texts: &[usize],
        derived: &[String],
        scored: bool,
    ) {
        for (name, cell) in new {
            let kind = if self.numeric.contains(name) { Kind::Number } else { cell.kind() };
            self.fields.push(Field { name: name.into(), kind, derived: false });
        }
        for index in texts {
            self.fields[*index].kind = Kind::Text;
        }
        for field in self.fields.iter_mut().filter(|field| derived.iter().any(|name| **name == *field.name)) {
            field.derived = true;
        }
        self.scored |= scored;
        self.changed();
    }

    /// A field of which only nulls were seen holds numbers: what batches say of it already.
    pub(super) fn decide_number(&mut self, index: usize) {
        self.fields[index].kind = Kind::Number;
        self.undecided -= 1;
    }

    pub(super) fn carry(&self) -> Vec<u8> {
        let carried = Carried { version: VERSION, fields: self.fields.clone(), scored: self.scored };
        // Names, kinds and flags: nothing that could not be written.
        postcard::to_stdvec(&carried).unwrap_or_default()
    }

    /// Declared fields keep their place and kind; the others follow in the order in which they were found.
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let unreadable = || Error::new("the known fields of an earlier run cannot be read back");
        let carried: Carried = postcard::from_bytes(bytes).map_err(|error| unreadable().because(error))?;
        if carried.version != VERSION {
            return Err(unreadable().help("they were saved by another version of aqpipe"));
        }
        for saved in carried.fields {
            match self.field(&saved.name) {
                None if self.is_taken(&saved.name) || self.fields.len() >= MOST_FIELDS => {}
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
        self.scored |= carried.scored && self.has_room_for_score();
        self.changed();
        Ok(())
    }
}
