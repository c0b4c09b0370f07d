//! What lies inside of objects and arrays.

use super::layout::Layout;
use super::lexer::Lexer;
use super::members::Members;
use super::names::{PATH_LEVELS_MAX, push_pointer};
use super::options::Others;
use super::rejected::Rejected;
use super::row::Row;
use super::row_values::Reading;

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
            self.new_field(name.to_string().into(), depth, lexer, by.layout)?;
            return Ok(true);
        }
        if !names.opens(&self.path) && !names.opens(&self.pointer) {
            return Ok(false);
        }
        let Some(members) = Members::of(lexer) else { return Ok(false) };
        self.members(members, depth, lexer, by)?;
        Ok(true)
    }

    /// Reads what is asked for inside of the object or array at the present path.
    fn members(
        &mut self,
        mut members: Members,
        depth: usize,
        lexer: &mut Lexer<'_>,
        by: &mut Reading<'_>,
    ) -> Result<(), Rejected> {
        if depth >= PATH_LEVELS_MAX {
            lexer.fail("less nesting")?;
        }
        let (path, pointer) = (self.path.len(), self.pointer.len());
        while let Some(name) = members.next(lexer)? {
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
        }
        Ok(())
    }
}
