//! Paths in the tokens of an item.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The paths in tokens, and the `use` declarations between them. Looks into every group, so into macros as well.
#[derive(Default)]
pub(crate) struct Paths {
    /// Paths of two segments or more.
    pub(crate) paths: Vec<Vec<String>>,
    /// Declarations inside functions.
    pub(crate) uses: Vec<syn::ItemUse>,
}

impl Paths {
    /// Adds the paths of a stream.
    pub(crate) fn collect(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = self.step(&tokens, at);
        }
    }

    /// Looks at the token at a place; returns the place behind all that it took.
    fn step(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        match &tokens[at] {
            TokenTree::Group(group) => {
                self.collect(group.stream());
                at + 1
            }
            TokenTree::Ident(ident) if ident == "pub" && is_restriction(tokens.get(at + 1)) => at + 2,
            TokenTree::Ident(ident) if ident == "use" => self.declaration(tokens, at).unwrap_or(at + 1),
            TokenTree::Ident(_) => self.path(tokens, at),
            // `a::b` behind `::` is a path of another crate, and `.a::<b>` a call of a method.
            TokenTree::Punct(_) if is_separator(tokens, at) => at + 3,
            TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
        }
    }

    fn path(&mut self, tokens: &[TokenTree], start: usize) -> usize {
        let mut path = Vec::new();
        let mut at = start;
        while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
            path.push(ident.to_string());
            at += 1;
            if !is_separator(tokens, at) || !matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
                break;
            }
            at += 2;
        }
        if path.len() > 1 {
            self.paths.push(path);
        }
        at
    }

    fn declaration(&mut self, tokens: &[TokenTree], at: usize) -> Option<usize> {
        let length =
            tokens[at..].iter().position(|token| matches!(token, TokenTree::Punct(c) if c.as_char() == ';'))?;
        let declaration = tokens[at..=at + length].iter().cloned().collect();
        self.uses.push(syn::parse2(declaration).ok()?);
        Some(at + length + 1)
    }
}

/// Whether a group behind `pub` restricts it: `(crate)`, `(super)`, `(in path)`.
fn is_restriction(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else { return false };
    if group.delimiter() != Delimiter::Parenthesis {
        return false;
    }
    let inside: Vec<String> = group.stream().into_iter().map(|token| token.to_string()).collect();
    match inside.as_slice() {
        [first, ..] if first == "in" => true,
        [only] => matches!(only.as_str(), "crate" | "self" | "super"),
        _ => false,
    }
}

fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(c)) if c.as_char() == ':');
    colon(at) && colon(at + 1)
}
