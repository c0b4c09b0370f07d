//! Numbers of a picture, short.

/// A tenth of a unit is finer than a pixel.
pub(super) fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".into() } else { text.into() }
}

/// The numbers of a path rounded like all others; nothing of a path with a number that is none.
pub(super) fn shortened(d: &str) -> Option<String> {
    let mut out = String::with_capacity(d.len());
    for token in d.split([' ', ',']).filter(|token| !token.is_empty()) {
        let (command, number) = match token.strip_prefix(|c: char| c.is_ascii_alphabetic()) {
            Some(rest) if !token.starts_with("inf") && !token.starts_with("NaN") => (&token[..1], rest),
            _ => ("", token),
        };
        let between = command.is_empty() && !out.is_empty() && !out.ends_with(|c: char| c.is_ascii_alphabetic());
        out.push_str(if between { " " } else { command });
        if !number.is_empty() {
            out.push_str(&short(number.parse().ok().filter(|value: &f64| value.is_finite())?));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shortened_and_one_without_a_place_is_none() {
        assert_eq!(shortened("M 1.26 2 L NaN 3 "), None);
        assert_eq!(shortened("M 1 2 L inf 3 "), None);
        assert_eq!(shortened("M 1.26 2 L 3.04,-0.01 Z").as_deref(), Some("M1.3 2L3 0Z"));
    }
}
