//! Recognises secrets by their keys, so that no message and no snippet repeats their values.

use std::ops::Range;

/// Replaces a secret.
pub(super) const MASK: &str = "***";

/// A key that contains one of these names a secret, in options of stages and in properties of client libraries.
const SECRET_WORDS: [&str; 10] =
    ["password", "passwd", "passphrase", "pwd", "secret", "credential", "private", "pem", "jwt", "oauthbearer.config"];
/// The words that are recognised when misspelt, too: `passwort`, `secert`.
const SECRET_WORDS_FUZZY: [&str; 3] = ["password", "passphrase", "secret"];
/// A misspelt word has at most one typo in so many characters. With more it is another word, as `security` is.
const CHARACTERS_PER_TYPO: usize = 4;

/// Whether a key names a secret, perhaps misspelt: its value must not be shown.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let misspelt = |part: &str| {
        SECRET_WORDS_FUZZY.iter().any(|word| strsim::osa_distance(part, word) <= word.len() / CHARACTERS_PER_TYPO)
    };
    SECRET_WORDS.iter().any(|word| key.contains(word)) || key.split(|c: char| !c.is_alphanumeric()).any(misspelt)
}

/// The secret parts of a value's text, quotes included or not: everything but variables of the environment. The default of
/// a variable is secret.
pub(super) fn within(value: &str) -> Vec<Range<usize>> {
    const QUOTES: [char; 2] = ['"', '\''];
    let start = value.len() - value.trim_start_matches(QUOTES).len();
    let end = value.trim_end_matches(QUOTES).len().max(start);
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        let rest = &value[at..end];
        let literal = rest.find("${").unwrap_or(rest.len());
        // A brace left over from a nested variable stays: the error about it has to be seen.
        if rest[..literal].chars().any(|c| c != '}') {
            found.push(at..at + literal);
        }
        at += literal;
        let Some(inside) = value[at..end].strip_prefix("${") else { continue };
        let length = inside.find('}').unwrap_or(inside.len());
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = inside[..length].find(|c| !is_name(c)).unwrap_or(length);
        let rest = &inside[name..length];
        let variable = |text: &str| text.strip_prefix("${").is_some_and(|name| name.chars().all(is_name));
        let secret = match rest.strip_prefix(":-") {
            Some(default) if default.is_empty() || variable(default) => None,
            Some(_) => Some(name + ":-".len()),
            None if rest.is_empty() || rest.starts_with(":?") => None,
            None => Some(0),
        };
        let inside = at + "${".len();
        found.extend(secret.map(|from| inside + from..inside + length));
        at = (inside + length + "}".len()).min(end);
    }
    found
}

/// The secrets in a text that need not be TOML: the file may be broken in that line, and a comment may hold the value of
/// yesterday. `is_override` says that the text is a single `key=value`.
pub(super) fn scan(text: &str, is_override: bool) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let is_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'' | ':');
    for (at, _) in text.match_indices('=') {
        if found.last().is_some_and(|last| last.contains(&at)) {
            continue;
        }
        let before = text[..at].trim_end_matches([' ', '\t']);
        let key = before.rfind(|c| !is_key(c)).map_or(before, |end| &before[end..]);
        if is_secret(key) {
            let start = at + 1 + leading_blanks(&text[at + 1..]);
            let end = if is_override && found.is_empty() && text[..at].find('=').is_none() {
                text.len()
            } else {
                start + length(&text[start..])
            };
            found.extend(within(&text[start..end]).into_iter().map(|range| start + range.start..start + range.end));
        }
    }
    if is_override && !text.contains('=') {
        // Without `=`, key and value cannot be told apart: everything behind the word that names a secret is masked.
        let mut at = 0;
        for part in text.split_inclusive([' ', ':', '.', ',']) {
            at += part.len();
            if is_secret(part) && at < text.len() {
                found.push(at..text.len());
                break;
            }
        }
    }
    found
}

/// An argument of a command line (`KEY=VALUE` or any other) with its secrets masked.
#[must_use]
pub fn without_secrets(argument: &str) -> String {
    let mut text = argument.to_owned();
    for range in scan(argument, true).into_iter().rev() {
        text.replace_range(range, MASK);
    }
    text
}

fn leading_blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// The length of the value at the start of a text: a string ends at its closing quote, another value at a delimiter, and
/// both at the end of the line otherwise.
fn length(text: &str) -> usize {
    for quotes in ["\"\"\"", "'''"] {
        if let Some(rest) = text.strip_prefix(quotes) {
            return rest.find(quotes).map_or(text.len(), |end| end + 2 * quotes.len());
        }
    }
    let line = text.lines().next().unwrap_or_default();
    let mut signs = line.char_indices();
    match signs.next() {
        Some((_, quote @ ('"' | '\''))) => {
            let mut escaped = false;
            let end = signs.find(|(_, c)| {
                let ends = *c == quote && !escaped;
                escaped = quote == '"' && *c == '\\' && !escaped;
                ends
            });
            end.map_or(line.len(), |(at, _)| at + 1)
        }
        // A table or a list of secrets may have several lines; it is masked as a whole.
        Some((_, open @ ('{' | '['))) => {
            let close = if open == '{' { '}' } else { ']' };
            text.find(close).map_or(text.len(), |end| end + 1)
        }
        _ => line.find([',', '}', '#']).unwrap_or(line.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_and_misspelt_ones_too() {
        for key in [
            "password",
            "key_password",
            "ssl.key.password",
            "sasl.password",
            "sasl.oauthbearer.client.secret",
            "ssl.key.pem",
            "Passwort",
            "pasword",
            "pass_phrase_secert",
            "API_SECRET",
            "\"sasl.password\"",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in [
            "path",
            "brokers",
            "parsed",
            "second",
            "sections",
            "passes",
            "username",
            "security",
            "temperature",
            "T",
            "score",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn a_variable_is_no_secret_but_its_default_is() {
        for (value, secrets) in [
            ("\"hunter2\"", &["hunter2"][..]),
            ("hunter2", &["hunter2"]),
            ("\"${P}\"", &[]),
            ("\"${P:?set it}\"", &[]),
            ("\"${P:-}\"", &[]),
            ("\"${P:-hunter2}\"", &["hunter2"]),
            ("\"${P}hunter2\"", &["hunter2"]),
            ("\"${P}-${hunter2!}\"", &["-", "hunter2!"]),
            ("\"${hunter2", &[]),
            ("\"${hunter2 x", &["hunter2 x"]),
            ("\"${1}${A:-${B}}\"", &[]),
            ("\"\"", &[]),
            ("", &[]),
        ] {
            let found: Vec<_> = within(value).into_iter().map(|range| &value[range]).collect();
            assert_eq!(found, secrets, "{value}");
        }
    }

    #[test]
    fn secrets_are_found_in_text_that_is_not_toml() {
        let hidden = |text: &str, over: bool| -> Vec<String> {
            scan(text, over).into_iter().map(|range| text[range].to_owned()).collect()
        };
        let text = "path = \"x\"\npassword = \"hunter2\nsecurity = { username = \"u\", password = 'a b', x }\n\
                    # key_password = old # was\nssl.key.pem = \"\"\"\nAAA\nBBB\"\"\"\nT = 1";
        assert_eq!(hidden(text, false), ["hunter2", "a b", "old ", "\nAAA\nBBB"]);
        assert_eq!(hidden("--set source.security.password=a, b=c", true), ["a, b=c"]);
        assert_eq!(hidden("--set source.security={password=\"hunter2\"}", true), ["hunter2"]);
        assert_eq!(hidden("--set source.librdkafka.\"sasl.password\"=hunter2", true), ["hunter2"]);
        assert_eq!(hidden("--set source.security.password hunter2", true), ["hunter2"]);
        assert_eq!(hidden("--set source.security.password:hunter2", true), ["hunter2"]);
        assert!(hidden("--set source.path=data.csv", true).is_empty());
    }

    #[test]
    fn an_argument_is_shown_without_its_secret() {
        for (argument, shown) in [
            ("sink.security.password=hunter2", "sink.security.password=***"),
            ("--set=sink.security.password=hunter2", "--set=sink.security.password=***"),
            ("sink={ security = { password = 'hunter2' } }", "sink={ security = { password = '***' } }"),
            ("sink.topic=air", "sink.topic=air"),
            ("pipelines/producer.toml", "pipelines/producer.toml"),
        ] {
            assert_eq!(without_secrets(argument), shown);
        }
    }
}
