//! The name of a new stage.

/// Words that a crate cannot be called: keywords of Rust, and crates that the new one uses.
const RESERVED: [&str; 46] = [
    "abstract", "aqpipe", "as", "async", "await", "become", "box", "break", "const", "continue", "core", "crate", "do",
    "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match",
    "mod", "move", "pub", "ref", "return", "schemars", "self", "serde", "static", "std", "struct", "super", "test",
    "trait", "true", "type", "use", "while",
];
/// Longer names are no names.
const LENGTH_MAX: usize = 40;

/// A name in `snake_case` that a crate can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StageName(String);

impl StageName {
    /// # Errors
    /// What is wrong with the name.
    pub(super) fn parse(text: &str) -> Result<StageName, String> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_word = |word: &str| !word.is_empty();
        if !text.starts_with(|c: char| c.is_ascii_lowercase())
            || !text.chars().all(legal)
            || !text.split('_').all(is_word)
        {
            return Err(format!("`{text}` is not made of words of a-z and 0-9 with `_` between them"));
        }
        if text.len() > LENGTH_MAX {
            return Err(format!("`{text}` is longer than {LENGTH_MAX} characters"));
        }
        if RESERVED.contains(&text) {
            return Err(format!("a crate cannot be called `{text}`"));
        }
        Ok(StageName(text.to_owned()))
    }

    pub(super) fn snake_case(&self) -> &str {
        &self.0
    }

    pub(super) fn camel_case(&self) -> String {
        let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
        self.0.split('_').map(capital).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_type() {
        assert_eq!(StageName::parse("unit_of_mass2").map(|name| name.camel_case()).as_deref(), Ok("UnitOfMass2"));
    }

    #[test]
    fn a_name_that_no_crate_can_have_is_refused() {
        for text in ["", "Hampel", "2nd", "_a", "a_", "a__b", "a-b", "ä", "match", "serde", &"a".repeat(41)] {
            assert!(StageName::parse(text).is_err(), "{text:?}");
        }
    }
}
