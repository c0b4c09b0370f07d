//! What is known of a record's values, read back from its `quality`.

use std::sync::Arc;

use aqpipe_engine::record::{CellQuality, Flag, Provenance, QcTests};

use super::columns::Builder;
use super::layout::Layout;
use super::lexer::{Lexer, NotJson, Part, Quoted};
use crate::codec::text;

/// How many bytes of a `derived` are remembered, to know the same again.
const REMEMBERED: usize = 4096;

/// The `quality` of one record.
#[derive(Debug, Default)]
pub(super) struct Quality {
    present: bool,
    malformed: bool,
    flags: Option<Part>,
    fills: Vec<(Quoted, Provenance, u8)>,
    tests: Vec<(Quoted, u8)>,
    pub(super) score: Option<f64>,
    has_derived: bool,
    derived: Derived,
}

/// The names of the computed fields: the same from record to record, so that they are looked up once.
#[derive(Debug, Default)]
struct Derived {
    bytes: Vec<u8>,
    names: Vec<String>,
    fields: Vec<usize>,
    /// The generation of the layout that `fields` belongs to.
    generation: u64,
    /// Whether the layout knows all of them as computed.
    settled: bool,
}

/// The bits of the test names that were seen, so that the shared table is asked once a name.
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
        let bit = self.tests.bit(name);
        // Names of a foreign writer may be without number.
        if self.seen.len() < 64 {
            self.seen.push((name.into(), bit));
        }
        bit
    }
}

impl Quality {
    pub(super) fn clear(&mut self) {
        self.present = false;
        self.malformed = false;
        self.flags = None;
        self.fills.clear();
        self.tests.clear();
        self.score = None;
        self.has_derived = false;
    }

    pub(super) fn is_present(&self) -> bool {
        self.present
    }

    /// Reads the value of the property. What is not of its shape makes it [malformed](Self::settle), never the record.
    pub(super) fn read(&mut self, lexer: &mut Lexer<'_>, tests: &mut TestBits) -> Result<(), NotJson> {
        self.present = true;
        if lexer.peek() != Some(b'{') {
            self.malformed = !lexer.skip(b"null");
            return if self.malformed { lexer.value() } else { Ok(()) };
        }
        let mut more = lexer.open(b'{', b'}', "`{`")?;
        while more {
            let name = lexer.name()?;
            lexer.space();
            match &lexer.text[name.part.range()] {
                "score" => self.read_score(lexer)?,
                "flags" => self.read_flags(lexer)?,
                "derived" => self.read_derived(lexer)?,
                "tests" => self.read_tests(lexer, tests)?,
                "fills" => self.read_fills(lexer)?,
                _ => lexer.value()?,
            }
            more = lexer.more(b'}', "`,` or `}`")?;
        }
        Ok(())
    }

    fn read_score(&mut self, lexer: &mut Lexer<'_>) -> Result<(), NotJson> {
        match lexer.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let score = lexer.number()?.value;
                self.malformed |= !(0.0..=1.0).contains(&score);
                self.score = Some(score);
                Ok(())
            }
            _ => self.skip_other(lexer),
        }
    }

    fn read_flags(&mut self, lexer: &mut Lexer<'_>) -> Result<(), NotJson> {
        if lexer.peek() != Some(b'"') {
            return self.skip_other(lexer);
        }
        self.flags = Some(lexer.string()?.part);
        Ok(())
    }

    /// Instead of what belongs there: null goes for nothing at all.
    fn skip_other(&mut self, lexer: &mut Lexer<'_>) -> Result<(), NotJson> {
        if lexer.skip(b"null") {
            return Ok(());
        }
        self.malformed = true;
        lexer.value()
    }

    fn read_derived(&mut self, lexer: &mut Lexer<'_>) -> Result<(), NotJson> {
        if lexer.peek() != Some(b'[') {
            return self.skip_other(lexer);
        }
        self.has_derived = true;
        if !self.derived.bytes.is_empty() && lexer.skip(&self.derived.bytes) {
            return Ok(());
        }
        let start = lexer.at;
        self.derived = Derived::default();
        let mut more = lexer.open(b'[', b']', "`[`")?;
        while more {
            match self.text(lexer)? {
                Some(name) => self.derived.names.push(name.text(lexer.text).into_owned()),
                None => self.malformed = true,
            }
            more = lexer.more(b']', "`,` or `]`")?;
        }
        let bytes = &lexer.text.as_bytes()[start..lexer.at];
        if bytes.len() <= REMEMBERED && !self.malformed {
            self.derived.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn read_fills(&mut self, lexer: &mut Lexer<'_>) -> Result<(), NotJson> {
        if lexer.peek() != Some(b'{') {
            return self.skip_other(lexer);
        }
        let mut more = lexer.open(b'{', b'}', "`{`")?;
        while more {
            let field = lexer.name()?;
            lexer.space();
            match self.text(lexer)?.and_then(|fill| text::fill(&fill.text(lexer.text))) {
                Some((provenance, distance)) => self.fills.push((field, provenance, distance)),
                None => self.malformed = true,
            }
            more = lexer.more(b'}', "`,` or `}`")?;
        }
        Ok(())
    }

    fn read_tests(&mut self, lexer: &mut Lexer<'_>, tests: &mut TestBits) -> Result<(), NotJson> {
        if lexer.peek() != Some(b'{') {
            return self.skip_other(lexer);
        }
        let mut more = lexer.open(b'{', b'}', "`{`")?;
        while more {
            let field = lexer.name()?;
            lexer.space();
            if lexer.peek() == Some(b'[') {
                let mut more = lexer.open(b'[', b']', "`[`")?;
                while more {
                    match self.text(lexer)? {
                        Some(name) => self.tests.push((field, tests.bit(&name.text(lexer.text)))),
                        None => self.malformed = true,
                    }
                    more = lexer.more(b']', "`,` or `]`")?;
                }
            } else {
                self.skip_other(lexer)?;
            }
            more = lexer.more(b'}', "`,` or `}`")?;
        }
        Ok(())
    }

    /// The next value where it is a text.
    fn text(&mut self, lexer: &mut Lexer<'_>) -> Result<Option<Quoted>, NotJson> {
        if lexer.peek() == Some(b'"') { lexer.string().map(Some) } else { lexer.value().map(|()| None) }
    }

    /// The names of the fields that are computed.
    pub(super) fn derived(&self) -> &[String] {
        if self.has_derived { &self.derived.names } else { &[] }
    }

    /// Finds the computed fields in a layout; returns whether it knows all of those that it has as computed.
    pub(super) fn find_derived(&mut self, layout: &Layout) -> bool {
        let derived = &mut self.derived;
        if self.has_derived && derived.generation != layout.generation {
            derived.fields = derived.names.iter().filter_map(|name| layout.field(name)).collect();
            derived.settled = derived.fields.iter().all(|index| layout.fields[*index].derived);
            derived.generation = layout.generation;
        }
        !self.has_derived || derived.settled
    }

    /// Once the whole record is read: whether its marks are of use. Where they are not, all of `quality` goes for
    /// nothing; `false` says that it was there.
    ///
    /// `order` is the fields in the order of the object, `field` finds them by name.
    pub(super) fn settle(&mut self, source: &str, order: &[usize], field: impl Fn(&str) -> Option<usize>) -> bool {
        if !self.present {
            return true;
        }
        let names = self.fills.iter().map(|(name, ..)| name).chain(self.tests.iter().map(|(name, _)| name));
        let fits = !self.malformed
            && match &self.flags {
                None => self.fills.is_empty() && self.tests.is_empty(),
                Some(flags) => {
                    let flags = &source.as_bytes()[flags.range()];
                    flags.len() == order.len() && flags.iter().all(|digit| flag(*digit).is_some())
                }
            }
            && names.into_iter().all(|name| field(&name.text(source)).is_some_and(|field| order.contains(&field)));
        if !fits {
            self.clear();
        }
        fits
    }

    /// Gives the last row of the columns its marks.
    pub(super) fn apply(&self, source: &str, layout: &Layout, order: &[usize], columns: &mut [Builder]) {
        let Some(flags) = &self.flags else { return };
        for (digit, index) in source.as_bytes()[flags.range()].iter().zip(order) {
            if let Builder::Number(measures) = &mut columns[*index]
                && let Some((mark, null)) = measures.last()
                && let Some(flag) = flag(*digit)
            {
                // A writer that contradicts its own values must not make a gap count as a measurement.
                let flag = match (flag, null) {
                    (Flag::Good | Flag::Unknown, true) => Flag::Missing,
                    (Flag::Missing, false) => Flag::Unknown,
                    _ => flag,
                };
                *mark = flag as u32;
            }
        }
        if self.has_derived {
            for index in &self.derived.fields {
                change(columns, *index, |mark, null| if null { mark } else { from(mark, Provenance::Derived, 0) });
            }
        }
        let field = |name: &Quoted| layout.field(&name.text(source));
        for (name, provenance, distance) in &self.fills {
            if let Some(index) = field(name) {
                change(columns, index, |mark, _| from(mark, *provenance, *distance));
            }
        }
        // Last, for from here on a `not_a_number` may be the writer's.
        let mut mark_tests: Vec<(usize, u16)> = Vec::new();
        for (name, bit) in &self.tests {
            let Some(index) = field(name) else { continue };
            match mark_tests.iter_mut().find(|(known, _)| *known == index) {
                Some((_, bits)) => *bits |= 1 << bit,
                None => mark_tests.push((index, 1 << bit)),
            }
        }
        for (index, bits) in mark_tests {
            change(columns, index, |mark, _| CellQuality(mark.0 | u32::from(bits) << 16));
        }
    }
}

fn change(columns: &mut [Builder], index: usize, change: impl FnOnce(CellQuality, bool) -> CellQuality) {
    if let Some(Builder::Number(measures)) = columns.get_mut(index)
        && let Some((mark, null)) = measures.last()
    {
        *mark = change(CellQuality(*mark), null).0;
    }
}

/// The mark with where its value came from, whatever its flag is.
fn from(mark: CellQuality, provenance: Provenance, distance: u8) -> CellQuality {
    mark.filled(provenance, u64::from(distance)).with_flag(mark.flag())
}

fn flag(digit: u8) -> Option<Flag> {
    Flag::from_number(digit.wrapping_sub(b'0'))
}
