//! Which properties records have, and in which order: that of the last one is expected of the next.

use super::layout::{IGNORED, Layout, Slot};
use super::lead::Lead;
use super::lexer::{Lexer, Quoted};
use super::options::Others;

/// Records that are read without a look at their properties' names, once others came than were expected: a stream that has several
/// kinds of records in turn costs no more than that.
const PAUSE_MAX: u32 = 1_024;

/// A property, as the record before wrote it.
#[derive(Debug)]
pub(super) struct Property {
    /// What stands between the value before and its own: `,"NAME":` mostly.
    pub(super) lead: Lead,
    /// `"NAME":`.
    name: Box<[u8]>,
    /// The part that it is; none where it is ignored.
    pub(super) slot: Option<Slot>,
}

/// The properties of a record, all of which are known parts at its top, or ignored.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) properties: Vec<Property>,
    /// The fields in the order of the object, which is that of the flags.
    pub(super) order: Vec<usize>,
    /// The fields that are not there.
    pub(super) absent: Vec<usize>,
    /// Whether something is ignored.
    pub(super) ignores: bool,
    /// The generation of the layout that these belong to.
    generation: u64,
}

/// What is expected of the next record.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    shape: Option<Shape>,
    /// Records to pass before a shape is taken again, and how many that will be after the next miss.
    left: u32,
    pause: u32,
}

impl Expectation {
    /// The shape that is expected, in this layout.
    #[inline]
    pub(super) fn shape(&self, layout: &Layout) -> Option<&Shape> {
        self.shape.as_ref().filter(|shape| shape.generation == layout.generation)
    }

    /// A record had the shape.
    #[inline]
    pub(super) fn met(&mut self) {
        self.pause = self.pause.saturating_sub(1);
    }

    /// A record had another shape.
    #[cold]
    pub(super) fn missed(&mut self) {
        self.shape = None;
        self.left = self.pause;
        self.pause = (2 * self.pause + 1).min(PAUSE_MAX);
    }

    /// Takes the shape of a record that became a row.
    #[inline]
    pub(super) fn learn(&mut self, source: &str, layout: &Layout) {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => self.take(source, layout),
        }
    }

    #[cold]
    fn take(&mut self, source: &str, layout: &Layout) {
        self.shape = Shape::of(source, layout);
        if self.shape.is_none() {
            self.missed();
        }
    }
}

impl Shape {
    /// The shape of a record; `None` where something in it is no known part, or comes from inside of an object.
    fn of(source: &str, layout: &Layout) -> Option<Shape> {
        if layout.record.is_some() || !layout.flags.is_empty() {
            return None;
        }
        let mut properties: Vec<Property> = Vec::new();
        let mut value_end = 0;
        let mut lexer = Lexer::new(source);
        lexer.space();
        let mut more = lexer.open(b'{', b'}', "`{`").ok()?;
        while more {
            let start = lexer.at;
            let name = lexer.name().ok()?.text(source);
            let written = &source.as_bytes()[start..lexer.at];
            let slot = layout.find(&name).map(|(_, slot)| slot);
            let is_again = slot.is_some() && properties.iter().any(|known| known.slot == slot);
            let may_be_ignored = layout.others == Others::Ignored && !layout.names.has_paths();
            if layout.names.depth(&name) != 0 || is_again || (slot.is_none() && !may_be_ignored) {
                return None;
            }
            lexer.space();
            let lead = Lead::new(&source.as_bytes()[value_end..lexer.at]);
            properties.push(Property { lead, name: written.into(), slot });
            if slot.is_none() && is_nested(&lexer) {
                return None;
            }
            lexer.value().ok()?;
            value_end = lexer.at;
            more = lexer.more(b'}', "`,` or `}`").ok()?;
        }
        let order: Vec<usize> = properties.iter().filter_map(|property| place_in_order(property.slot)).collect();
        let ignores = properties.iter().any(|property| property.slot.is_none());
        let is_absent = |index: &usize| !order.contains(index);
        let absent = (0..layout.fields.len()).filter(is_absent).collect();
        Some(Shape { properties, order, absent, ignores, generation: layout.generation })
    }

    /// The field that is called so, and the place of its property. It is looked for from a place on: marks come in the order of the
    /// fields, mostly.
    pub(super) fn find(&self, source: &str, name: Quoted, from: usize) -> Option<(usize, usize)> {
        let range = name.part.range();
        let quoted = &source.as_bytes()[range.start - 1..range.end + 1];
        let is = |place: &usize| self.properties[*place].name.starts_with(quoted);
        let place = (from..self.properties.len()).find(is).or_else(|| (0..from).find(is))?;
        match self.properties[place].slot {
            Some(Slot::Field(index)) => Some((index, place)),
            None => Some((IGNORED, place)),
            _ => None,
        }
    }
}

/// Whether an object or an array comes next.
pub(super) fn is_nested(lexer: &Lexer<'_>) -> bool {
    matches!(lexer.peek(), Some(b'{' | b'['))
}

/// What a part is among those that have a flag, or would have one if they were fields.
fn place_in_order(slot: Option<Slot>) -> Option<usize> {
    match slot {
        Some(Slot::Field(index)) => Some(index),
        Some(Slot::Key(_) | Slot::Code(_)) | None => Some(IGNORED),
        Some(Slot::Timestamp(_) | Slot::Quality) => None,
    }
}
