//! Numbers and counts as alerts say them.

/// Decimals that are added at most, so that a value and its limit differ in words as they do in fact.
const MORE_DECIMALS_MAX: usize = 6;

/// A limit with as many decimals as it has. `say` says a number with so many more decimals than usual.
pub(super) fn exact(limit: f64, say: impl Fn(f64, usize) -> String) -> String {
    // The shortest text that later ones add nothing but zeros to.
    let most = say(limit, MORE_DECIMALS_MAX);
    let is_exact = |text: &String| number_in(text) == number_in(&most);
    (0..=MORE_DECIMALS_MAX).map(|more| say(limit, more)).find(is_exact).unwrap_or_else(|| say(limit, 0))
}

/// A value with as many decimals as tell it from its limit.
pub(super) fn apart(value: f64, limit: f64, say: impl Fn(f64, usize) -> String) -> String {
    let (limit_text, is_same) = (exact(limit, &say), value == limit);
    let differs = |text: &String| is_same || number_in(text) != number_in(&limit_text);
    (0..=MORE_DECIMALS_MAX).map(|more| say(value, more)).find(differs).unwrap_or_else(|| {
        let than = if value > limit { "more" } else { "less" };
        format!("a little {than} than {limit_text}")
    })
}

/// A text's number without zeros at its end, and its unit.
fn number_in(text: &str) -> (&str, &str) {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    (number, unit)
}

/// A share in hundredths, with a decimal and so many more.
pub(super) fn percent(share: f64, more: usize) -> String {
    format!("{:.*} %", 1 + more, share * 100.0)
}

/// Records a second.
pub(super) fn rate(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// A span of seconds in its largest unit that leaves two digits, with so many more decimals: `90 s`, `45 min`, `3.5 h`.
pub(super) fn span(seconds: f64, more: usize) -> String {
    let (number, unit, decimals) = match seconds {
        ..120.0 => (seconds, "s", more),
        120.0..7_200.0 => (seconds / 60.0, "min", 1 + more),
        7_200.0..172_800.0 => (seconds / 3_600.0, "h", 1 + more),
        _ => (seconds / 86_400.0, "d", 1 + more),
    };
    let text = format!("{number:.decimals$}");
    format!("{} {unit}", number_in(&text).0)
}

/// So many things: `1 record`, `2 records`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", verb(count, "", "s"))
}

/// The form of a word that goes with one or with several.
pub(super) const fn verb<'a>(count: u64, one: &'a str, several: &'a str) -> &'a str {
    if count == 1 { one } else { several }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_the_unit_that_a_person_would_choose() {
        for (seconds, said) in
            [(0.0, "0 s"), (60.0, "60 s"), (300.0, "5 min"), (5_400.0, "90 min"), (12_600.0, "3.5 h"), (1e6, "11.6 d")]
        {
            assert_eq!(span(seconds, 0), said);
        }
    }

    #[test]
    fn a_value_beyond_its_limit_never_looks_like_it() {
        for (value, limit, said, allowed) in [
            (5.4, 5.0, "5.4 s", "5 s"),
            (5.000_4, 5.0, "5.0004 s", "5 s"),
            (5.000_000_000_1, 5.0, "a little more than 5 s", "5 s"),
            (5.0, 5.0, "5 s", "5 s"),
            (10_810.0, 10_800.0, "3.003 h", "3 h"),
            (8.0, 7.5, "8 s", "7.5 s"),
        ] {
            assert_eq!((&*apart(value, limit, span), &*exact(limit, span)), (said, allowed), "{value}");
        }
        for (value, limit, said, allowed) in [
            (0.100_4, 0.1, "10.04 %", "10.0 %"),
            (0.2, 0.1, "20.0 %", "10.0 %"),
            (0.1, 0.100_4, "10.0 %", "10.04 %"),
            (0.07, 0.07, "7.0 %", "7.0 %"),
        ] {
            assert_eq!((&*apart(value, limit, percent), &*exact(limit, percent)), (said, allowed), "{value}");
        }
    }
}
