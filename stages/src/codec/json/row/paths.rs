//! What lies inside of objects and arrays.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::cell::Cell;
use super::super::layout::{Layout, Slot};
use super::super::lexer::Lexer;
use super::super::names::{PATH_LEVELS_MAX, push_pointer};
use super::super::options::Others;
use super::super::rejected::Rejected;
use super::{Reading, Row, repeated};

impl Row {
    /// Reads the property at the present path, if it is asked for or what is inside of it; returns whether that is so.
    pub(super) fn at_path(
        &mut self,
        depth: usize,
        lexer: &mut Lexer<'_>,
        by: &mut Reading<'_>,
    ) -> Result<bool, Rejected> {
        let Layout { names, .. } = by.layout;
        let by_name = if depth > 0 { by.layout.find(&self.path) } else { None };
        if let Some((_, slot)) = by_name.or_else(|| by.layout.find(&self.pointer)) {
            self.value(slot, depth, lexer, by)?;
            return Ok(true);
        }
        let renamed = if depth > 0 { names.renamed(&self.path) } else { None };
        if let Some(name) = renamed.or_else(|| names.renamed(&self.pointer)) {
            self.new_field(name.to_string().into(), lexer, by.layout)?;
            return Ok(true);
        }
        if !names.opens(&self.path) && !names.opens(&self.pointer) {
            return Ok(false);
        }
        match lexer.peek() {
            Some(b'{') => self.members(b'}', depth, lexer, by)?,
            Some(b'[') => self.members(b']', depth, lexer, by)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads what is asked for inside of the object or array at the present path. The elements of an array have their index
    /// as name, from 0.
    pub(super) fn members(
        &mut self,
        close: u8,
        depth: usize,
        lexer: &mut Lexer<'_>,
        by: &mut Reading<'_>,
    ) -> Result<(), Rejected> {
        if depth >= PATH_LEVELS_MAX {
            lexer.fail("less nesting")?;
        }
        let (path, pointer) = (self.path.len(), self.pointer.len());
        let (open, expected) = if close == b'}' { (b'{', "`,` or `}`") } else { (b'[', "`,` or `]`") };
        let mut more = lexer.open(open, close, "a value")?;
        let mut index = 0;
        while more {
            let name = if close == b'}' {
                let name = lexer.name()?;
                lexer.space();
                name.text(lexer.text)
            } else {
                Cow::from(index.to_string())
            };
            index += 1;
            self.path.push('.');
            self.path.push_str(&name);
            push_pointer(&mut self.pointer, &name);
            if !self.at_path(depth + 1, lexer, by)? {
                let path = std::mem::take(&mut self.path);
                match by.layout.others {
                    Others::Ignored => lexer.value()?,
                    Others::Asked | Others::Welcome => self.pass_over(&path, lexer)?,
                }
                self.path = path;
            }
            self.path.truncate(path);
            self.pointer.truncate(pointer);
            more = lexer.more(close, expected)?;
        }
        Ok(())
    }

    /// Whether a value at this depth counts, rather than one that is there already.
    pub(super) fn counts(&mut self, slot: Slot, depth: usize, is_there: bool, name: &str) -> Result<bool, Rejected> {
        let known = self.deep.iter().position(|(deep, _)| *deep == slot);
        let order = if is_there { depth.cmp(&known.map_or(0, |place| self.deep[place].1)) } else { Ordering::Less };
        match order {
            Ordering::Equal => return Err(repeated(name)),
            Ordering::Greater => return Ok(false),
            Ordering::Less => {}
        }
        match known {
            Some(place) => self.deep[place].1 = depth,
            None if depth > 0 => self.deep.push((slot, depth)),
            None => {}
        }
        Ok(true)
    }

    /// Takes a value that comes from inside of an object, or of a field that has one already.
    #[cold]
    pub(super) fn field_again(
        &mut self,
        index: usize,
        depth: usize,
        cell: Cell,
        layout: &Layout,
    ) -> Result<(), Rejected> {
        let name = &layout.fields[index].name;
        let is_there = !matches!(self.cells[index], Cell::Absent);
        match self.counts(Slot::Field(index), depth, is_there, name) {
            Ok(true) => {
                self.cells[index] = cell;
                if !is_there {
                    self.order.push(index);
                }
            }
            Err(_) if self.is_unasked(index, layout) => self.passed_over.note(name, "once more"),
            other => drop(other?),
        }
        Ok(())
    }
}
