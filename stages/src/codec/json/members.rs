//! The members of an object or an array, one by one, on the way to a path.

use std::borrow::Cow;

use super::lexer::{Lexer, SyntaxError};

/// The members of the object or array that comes next. The elements of an array have their index as name, from 0.
pub(super) struct Members {
    is_object: bool,
    index: usize,
}

impl Members {
    /// The members of what begins here; `None` where it is neither an object nor an array.
    pub(super) fn of(lexer: &Lexer<'_>) -> Option<Members> {
        let is_object = match lexer.peek() {
            Some(b'{') => true,
            Some(b'[') => false,
            _ => return None,
        };
        Some(Members { is_object, index: 0 })
    }

    /// Goes to the value of the next member, behind that of the one before; returns its name.
    pub(super) fn next<'t>(&mut self, lexer: &mut Lexer<'t>) -> Result<Option<Cow<'t, str>>, SyntaxError> {
        let (open, close, expected) =
            if self.is_object { (b'{', b'}', "`,` or `}`") } else { (b'[', b']', "`,` or `]`") };
        let has_more =
            if self.index == 0 { lexer.open(open, close, "a value")? } else { lexer.more(close, expected)? };
        if !has_more {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        if !self.is_object {
            return Ok(Some(index.to_string().into()));
        }
        let name = lexer.name()?;
        lexer.space();
        Ok(Some(name.text(lexer.text)))
    }
}
