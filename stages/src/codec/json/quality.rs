//! The `quality` property: read, checked and applied to the cells of its record.

use std::sync::Arc;

use aqpipe_engine::record::{CellQuality, Flag, Provenance, QcTests};

use super::layout::{IGNORED, Layout};
use super::lexer::{Lexer, Quoted, SyntaxError, TextRange};
use super::shape::Shape;
use crate::codec::text;
use crate::columns::ColumnBuilder;

/// Bytes of the property that are kept, and of a `derived` list, to recognise the same in the next record.
const KEPT_BYTES_MAX: usize = 4096;

/// The name of the syntax test in older messages, which have the flag `missing` there, and a bit of its own behind all tests.
const OLDER_SYNTAX: &str = "not_a_number";
const OLDER_SYNTAX_BIT: u8 = 16;

/// Test names that are kept: a foreign writer may use any number of them.
const TEST_NAMES_CACHED_MAX: usize = 64;

/// The `quality` of one record.
#[derive(Debug, Default)]
pub(super) struct Quality {
    present: bool,
    said: Said,
    /// What the record before had, which the next one has again mostly.
    before: Said,
    /// The bytes of that, and where they stood.
    bytes: Vec<u8>,
    start: usize,
    /// The field of each fill, then of each test, where they were found by their places.
    marked: Vec<usize>,
    /// How many of the first properties in the order of the flags have none.
    unflagged: usize,
    derived: Derived,
}

/// What the property says.
#[derive(Debug, Default)]
struct Said {
    malformed: bool,
    flags: Option<TextRange>,
    fills: Vec<(Quoted, Provenance, u8)>,
    tests: Vec<(Quoted, u8)>,
    score: Option<f64>,
    has_derived: bool,
}

impl Said {
    fn clear(&mut self) {
        self.malformed = false;
        self.flags = None;
        self.fills.clear();
        self.tests.clear();
        self.score = None;
        self.has_derived = false;
    }

    /// Moves it to where the same bytes stand in another text.
    fn move_by(&mut self, by: isize) {
        if by == 0 {
            return;
        }
        self.flags = self.flags.map(|flags| flags.moved(by));
        let names = self.fills.iter_mut().map(|(name, ..)| name).chain(self.tests.iter_mut().map(|(name, _)| name));
        names.for_each(|name| name.part = name.part.moved(by));
    }
}

/// The names of the computed fields, looked up once: they are the same from record to record.
#[derive(Debug, Default)]
struct Derived {
    bytes: Vec<u8>,
    names: Vec<String>,
    fields: Vec<usize>,
    /// The generation of the layout that `fields` belongs to.
    generation: u64,
    /// Whether the layout has all of them as computed.
    all_known: bool,
}

/// The bits of the test names seen so far, so that the shared table is asked once for each name.
#[derive(Debug)]
pub(super) struct TestBits {
    tests: Arc<QcTests>,
    seen: Vec<(Box<str>, u8)>,
}

impl TestBits {
    pub(super) fn new(tests: Arc<QcTests>) -> TestBits {
        TestBits { tests, seen: Vec::new() }
    }

    fn bit(&mut self, name: &str) -> u8 {
        if let Some((_, bit)) = self.seen.iter().find(|(seen, _)| **seen == *name) {
            return *bit;
        }
        let bit = if name == OLDER_SYNTAX { OLDER_SYNTAX_BIT } else { self.tests.bit(name) };
        if self.seen.len() < TEST_NAMES_CACHED_MAX {
            self.seen.push((name.into(), bit));
        }
        bit
    }
}

impl Quality {
    #[inline]
    pub(super) fn clear(&mut self) {
        if self.present {
            std::mem::swap(&mut self.said, &mut self.before);
            self.present = false;
        }
        self.said.clear();
    }

    /// The score that it has.
    #[inline]
    pub(super) fn score(&self) -> Option<f64> {
        self.said.score
    }

    pub(super) fn is_present(&self) -> bool {
        self.present
    }

    /// Reads the value of the property. A member of another shape makes the property malformed, never the record.
    pub(super) fn read(&mut self, lexer: &mut Lexer<'_>, tests: &mut TestBits) -> Result<(), SyntaxError> {
        self.present = true;
        let start = lexer.at;
        if !self.bytes.is_empty() && lexer.skip(&self.bytes) {
            std::mem::swap(&mut self.said, &mut self.before);
            self.said.move_by(start.wrapping_sub(self.start).cast_signed());
            self.start = start;
            return Ok(());
        }
        // Until all of it is read.
        self.bytes.clear();
        if lexer.peek() != Some(b'{') {
            self.said.malformed = !lexer.skip(b"null");
            return if self.said.malformed { lexer.value() } else { Ok(()) };
        }
        let mut more = lexer.open(b'{', b'}', "`{`")?;
        while more {
            self.read_member(lexer, tests)?;
            more = lexer.more(b'}', "`,` or `}`")?;
        }
        let bytes = &lexer.text.as_bytes()[start..lexer.at];
        if bytes.len() <= KEPT_BYTES_MAX {
            self.bytes.extend_from_slice(bytes);
            self.start = start;
        }
        Ok(())
    }

    #[inline]
    fn read_member(&mut self, lexer: &mut Lexer<'_>, tests: &mut TestBits) -> Result<(), SyntaxError> {
        // As they are written here: what each record has is found without a look at its name.
        if lexer.skip(b"\"score\":") {
            lexer.space();
            return self.read_score(lexer);
        }
        if lexer.skip(b"\"flags\":") {
            lexer.space();
            return self.read_flags(lexer);
        }
        if lexer.skip(b"\"derived\":") {
            lexer.space();
            return self.read_derived(lexer);
        }
        let name = lexer.name()?;
        lexer.space();
        match &lexer.text[name.part.range()] {
            "score" => self.read_score(lexer),
            "flags" => self.read_flags(lexer),
            "derived" => self.read_derived(lexer),
            "tests" => self.read_tests(lexer, tests),
            "fills" => self.read_fills(lexer),
            _ => lexer.value(),
        }
    }

    fn read_score(&mut self, lexer: &mut Lexer<'_>) -> Result<(), SyntaxError> {
        match lexer.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let score = lexer.number()?.value;
                self.said.malformed |= !(0.0..=1.0).contains(&score);
                self.said.score = Some(score);
                Ok(())
            }
            _ => self.skip_other(lexer),
        }
    }

    fn read_flags(&mut self, lexer: &mut Lexer<'_>) -> Result<(), SyntaxError> {
        if lexer.peek() != Some(b'"') {
            return self.skip_other(lexer);
        }
        self.said.flags = Some(lexer.string()?.part);
        Ok(())
    }

    /// Skips a value of another shape. Null counts as absent.
    fn skip_other(&mut self, lexer: &mut Lexer<'_>) -> Result<(), SyntaxError> {
        if lexer.skip(b"null") {
            return Ok(());
        }
        self.said.malformed = true;
        lexer.value()
    }

    fn read_derived(&mut self, lexer: &mut Lexer<'_>) -> Result<(), SyntaxError> {
        if lexer.peek() != Some(b'[') {
            return self.skip_other(lexer);
        }
        self.said.has_derived = true;
        if !self.derived.bytes.is_empty() && lexer.skip(&self.derived.bytes) {
            return Ok(());
        }
        let start = lexer.at;
        self.derived = Derived::default();
        lexer.array(|lexer| {
            match text_value(lexer)? {
                Some(name) => self.derived.names.push(name.text(lexer.text).into_owned()),
                None => self.said.malformed = true,
            }
            Ok(())
        })?;
        let bytes = &lexer.text.as_bytes()[start..lexer.at];
        if bytes.len() <= KEPT_BYTES_MAX && !self.said.malformed {
            self.derived.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn read_fills(&mut self, lexer: &mut Lexer<'_>) -> Result<(), SyntaxError> {
        if lexer.peek() != Some(b'{') {
            return self.skip_other(lexer);
        }
        lexer.object(|lexer, field| {
            match text_value(lexer)?.and_then(|fill| text::parse_fill(&fill.text(lexer.text))) {
                Some((provenance, distance)) => self.said.fills.push((field, provenance, distance)),
                None => self.said.malformed = true,
            }
            Ok(())
        })
    }

    fn read_tests(&mut self, lexer: &mut Lexer<'_>, tests: &mut TestBits) -> Result<(), SyntaxError> {
        if lexer.peek() != Some(b'{') {
            return self.skip_other(lexer);
        }
        lexer.object(|lexer, field| {
            if lexer.peek() != Some(b'[') {
                return self.skip_other(lexer);
            }
            lexer.array(|lexer| {
                match text_value(lexer)? {
                    Some(name) => self.said.tests.push((field, tests.bit(&name.text(lexer.text)))),
                    None => self.said.malformed = true,
                }
                Ok(())
            })
        })
    }

    /// The names of the fields that are computed.
    pub(super) fn derived(&self) -> &[String] {
        if self.said.has_derived { &self.derived.names } else { &[] }
    }

    /// Finds the computed fields in a layout; returns whether the layout has all those that it knows as computed.
    pub(super) fn resolve_derived(&mut self, layout: &Layout) -> bool {
        let derived = &mut self.derived;
        if self.said.has_derived && derived.generation != layout.generation {
            derived.fields = derived.names.iter().filter_map(|name| layout.field_of(name)).collect();
            derived.all_known = derived.fields.iter().all(|index| layout.fields[*index].derived);
            derived.generation = layout.generation;
        }
        !self.said.has_derived || derived.all_known
    }

    /// Checks the property against its record, once all of that is read. Clears it and returns `false` where it does not fit.
    ///
    /// `order` has the fields in the order of the object, `field` finds them by name. A writer's key, which comes first and has no
    /// flag, may be the first of them, for the reader may use another: it is taken out.
    pub(super) fn validate(
        &mut self,
        source: &str,
        order: &mut Vec<usize>,
        first_may_be_key: bool,
        field: impl Fn(&str) -> Option<usize>,
    ) -> bool {
        if !self.present {
            return true;
        }
        let names = self.said.fills.iter().map(|(name, ..)| name).chain(self.said.tests.iter().map(|(name, _)| name));
        let fits = !self.said.malformed
            && match &self.said.flags {
                None => self.said.fills.is_empty() && self.said.tests.is_empty(),
                Some(flags) => {
                    let flags = &source.as_bytes()[flags.range()];
                    if first_may_be_key && flags.len() + 1 == order.len() {
                        order.remove(0);
                    }
                    flags.len() == order.len() && flags.iter().all(|digit| parse_flag(*digit).is_some())
                }
            }
            && names.into_iter().all(|name| field(&name.text(source)).is_some_and(|field| order.contains(&field)));
        if !fits {
            self.clear();
        }
        fits
    }

    /// Whether the property fits a record of that shape and changes nothing of the layout. Finds the fields of fills and tests.
    #[inline]
    pub(super) fn fits_expected(&mut self, source: &str, shape: &Shape, layout: &Layout) -> bool {
        self.marked.clear();
        if !self.present {
            return true;
        }
        let has_flags = match &self.said.flags {
            None => self.said.fills.is_empty() && self.said.tests.is_empty(),
            Some(flags) => {
                let flags = &source.as_bytes()[flags.range()];
                // A writer's key has no flag.
                let has_key = shape.order.first() == Some(&IGNORED) && flags.len() + 1 == shape.order.len();
                self.unflagged = usize::from(has_key);
                (has_key || flags.len() == shape.order.len()) && flags.iter().all(|digit| parse_flag(*digit).is_some())
            }
        };
        let scores = self.said.score.is_some() && !layout.scored && layout.has_room_for_score();
        if self.said.malformed || !has_flags || scores || !self.resolve_derived(layout) {
            return false;
        }
        let fills = self.said.fills.iter().map(|(name, ..)| *name);
        let mut next = 0;
        for name in fills.chain(self.said.tests.iter().map(|(name, _)| *name)) {
            let Some((index, place)) = shape.find(source, name, next) else { return false };
            next = place;
            self.marked.push(index);
        }
        true
    }

    /// Sets the quality of the last row's cells.
    pub(super) fn apply(&self, source: &str, layout: &Layout, order: &[usize], columns: &mut [ColumnBuilder]) {
        self.apply_to(source, order, columns, |name, _| layout.field_of(&name.text(source)));
    }

    /// The same for a record that [fits](Self::fits_expected) its shape.
    #[inline]
    pub(super) fn apply_expected(&self, source: &str, shape: &Shape, columns: &mut [ColumnBuilder]) {
        self.apply_to(source, &shape.order[self.unflagged.min(shape.order.len())..], columns, |_, mark| {
            self.marked.get(mark).copied()
        });
    }

    /// `field` finds the field of a mark by its name, or by its number among the fills and then the tests.
    #[inline]
    fn apply_to(
        &self,
        source: &str,
        order: &[usize],
        columns: &mut [ColumnBuilder],
        field: impl Fn(&Quoted, usize) -> Option<usize>,
    ) {
        let Some(flags) = &self.said.flags else { return };
        for (digit, index) in source.as_bytes()[flags.range()].iter().zip(order) {
            let Some(flag) = parse_flag(*digit) else { continue };
            update(columns, *index, |_, is_missing| {
                // A writer that contradicts its own values must not make a gap count as a measurement.
                CellQuality(match (flag, is_missing) {
                    (Flag::Good | Flag::Unknown, true) => Flag::Missing,
                    (Flag::Missing, false) => Flag::Unknown,
                    _ => flag,
                } as u32)
            });
        }
        if self.said.has_derived {
            for index in &self.derived.fields {
                update(columns, *index, |quality, is_missing| {
                    if is_missing { quality } else { with_provenance(quality, Provenance::Derived, 0) }
                });
            }
        }
        for (mark, (name, provenance, distance)) in self.said.fills.iter().enumerate() {
            if let Some(index) = field(name, mark) {
                update(columns, index, |quality, _| with_provenance(quality, *provenance, *distance));
            }
        }
        // Last, for from here on a `syntax` may be the writer's.
        let mut field_tests: Vec<(usize, u32)> = Vec::new();
        for (mark, (name, bit)) in self.said.tests.iter().enumerate() {
            let Some(index) = field(name, self.said.fills.len() + mark) else { continue };
            match field_tests.iter_mut().find(|(known, _)| *known == index) {
                Some((_, bits)) => *bits |= 1 << bit,
                None => field_tests.push((index, 1 << bit)),
            }
        }
        for (index, bits) in field_tests {
            update(columns, index, |quality, is_missing| {
                let quality = CellQuality(quality.0 | bits << 16);
                let is_older = bits >> OLDER_SYNTAX_BIT & 1 == 1;
                let quality = if is_older { quality.with_test(QcTests::SYNTAX) } else { quality };
                if is_older && is_missing { quality.with_flag(Flag::Fail) } else { quality }
            });
        }
    }
}

/// The next value if it is a text; skips it otherwise.
fn text_value(lexer: &mut Lexer<'_>) -> Result<Option<Quoted>, SyntaxError> {
    if lexer.peek() == Some(b'"') { lexer.string().map(Some) } else { lexer.value().map(|()| None) }
}

/// Changes the quality of the last row's cell, unless its value was unreadable; `change` learns whether there is no value.
#[inline]
fn update(columns: &mut [ColumnBuilder], index: usize, change: impl FnOnce(CellQuality, bool) -> CellQuality) {
    if let Some(ColumnBuilder::Number(numbers)) = columns.get_mut(index)
        && let Some((quality, is_missing)) = numbers.last()
        && *quality != CellQuality::UNREADABLE.0
    {
        *quality = change(CellQuality(*quality), is_missing).0;
    }
}

/// The quality with another provenance and the same flag.
fn with_provenance(quality: CellQuality, provenance: Provenance, distance: u8) -> CellQuality {
    quality.filled(provenance, u64::from(distance)).with_flag(quality.flag())
}

fn parse_flag(digit: u8) -> Option<Flag> {
    Flag::from_number(digit.wrapping_sub(b'0'))
}
