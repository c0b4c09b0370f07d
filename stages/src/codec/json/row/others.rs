//! What nobody asked for, and what cannot be a field.

use std::borrow::Cow;

use super::super::cell::Cell;
use super::super::layout::Layout;
use super::super::lexer::Lexer;
use super::super::options::Others;
use super::super::rejected::Rejected;
use super::{Row, nested, repeated};

impl Row {
    /// Reads the value of a property that no field has yet.
    pub(super) fn new_field(
        &mut self,
        name: Cow<'_, str>,
        lexer: &mut Lexer<'_>,
        layout: &Layout,
    ) -> Result<(), Rejected> {
        if !layout.is_free(&name) {
            return self.pass_over(&name, lexer);
        }
        let why = if self.new.iter().any(|(known, _)| *known == name) {
            Some(repeated(&name))
        } else {
            layout.refuses(&name, self.new.len()).map(Rejected::new)
        };
        let cell = match why {
            Some(_) if layout.others == Others::Welcome => return self.pass_over(&name, lexer),
            Some(why) => return Err(why),
            None => Cell::read(lexer)?,
        };
        match cell {
            Ok(cell) => {
                self.order.push(layout.fields.len() + self.new.len());
                self.new.push((name.into_owned(), cell));
                Ok(())
            }
            Err(_) if layout.others == Others::Welcome => self.pass_over(&name, lexer),
            Err(what) => Err(nested_unasked(&name, what)),
        }
    }

    /// An object or an array in place of a field's value.
    #[cold]
    pub(super) fn nested_field(
        &mut self,
        index: usize,
        what: &'static str,
        lexer: &mut Lexer<'_>,
        layout: &Layout,
    ) -> Result<(), Rejected> {
        let name = &layout.fields[index].name;
        match layout.others {
            Others::Asked => Err(nested_unasked(name, what)),
            _ if self.is_unasked(index, layout) => self.pass_over(name, lexer),
            _ => Err(nested(name, what)),
        }
    }

    /// Whether a known field is one that nobody asked for.
    pub(super) fn is_unasked(&self, index: usize, layout: &Layout) -> bool {
        index >= layout.asked && layout.others != Others::Asked
    }

    pub(super) fn pass_over(&mut self, name: &str, lexer: &mut Lexer<'_>) -> Result<(), Rejected> {
        let what = match lexer.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            _ => "a value",
        };
        lexer.value()?;
        self.passed_over.note(name, what);
        Ok(())
    }
}

/// The reason of a record that has an object or an array where nothing was asked for.
#[cold]
fn nested_unasked(name: &str, what: &str) -> Rejected {
    Rejected::new(format!(
        "the property `{name}` is {what}, which no column can hold: where `fields` names what is wanted, others are passed over"
    ))
}
