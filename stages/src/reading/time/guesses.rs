//! The formats that a text looks like.

use super::epoch::UNITS;

/// Formats that one text is tried with.
const GUESSES_MAX: usize = 24;
/// Parts of a text: a date and a time with all separators, a weekday and an offset have fewer.
const TOKENS_MAX: usize = 24;
/// Longer separators are no separators.
const SEPARATOR_BYTES_MAX: usize = 8;
/// Words that stand beside numbers of dates and times and say nothing more.
const UNITS_OF_TIME: [char; 16] =
    ['年', '月', '日', '号', '时', '時', '点', '點', '分', '秒', '년', '월', '일', '시', '분', '초'];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Digits(&'a str),
    Word(&'a str),
    Other(&'a str),
}

/// The formats that a text looks like, likelier ones first; what may be meant in several ways has several.
pub(super) fn guesses(text: &str) -> Vec<String> {
    let mut found: Vec<String> = vec!["iso8601".to_owned()];
    found.extend(UNITS.iter().map(|(name, _)| (*name).to_owned()));
    if let Some(tokens) = tokens(text) {
        let is_half = tokens.iter().any(|token| is_meridiem(*token));
        let mut search = Search { tokens, is_half, found: Vec::new() };
        search.go(0, String::new(), [false; 3]);
        found.append(&mut search.found);
    }
    found
}

/// The parts of a text; `None` where it has words of no format.
fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = |c: char| (c.is_ascii_digit(), c.is_ascii_alphabetic());
        let end = rest.find(|c: char| kind(c) != kind(first)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        tokens.push(match kind(first) {
            (true, _) => Token::Digits(part),
            (_, true) => Token::Word(part),
            _ if part.len() > SEPARATOR_BYTES_MAX => return None,
            _ => {
                let is_known = |c: char| !c.is_alphanumeric() || UNITS_OF_TIME.contains(&c);
                part.chars().all(is_known).then_some(Token::Other(part))?
            }
        });
        rest = after;
    }
    (tokens.len() <= TOKENS_MAX).then_some(tokens)
}

fn is_meridiem(token: Token<'_>) -> bool {
    matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("am") || word.eq_ignore_ascii_case("pm"))
}

/// Whether a word begins with one of the names, in short or in full.
fn is_name(token: Token<'_>, names: &[&str]) -> bool {
    let Token::Word(word) = token else { return false };
    word.get(..3).is_some_and(|short| names.iter().any(|name| short.eq_ignore_ascii_case(name)))
}

/// All ways to take a text as a date, a time and a weekday.
struct Search<'a> {
    tokens: Vec<Token<'a>>,
    is_half: bool,
    found: Vec<String>,
}

impl<'a> Search<'a> {
    /// Goes on at a token with the format up to there; `done` are date, time and weekday.
    fn go(&mut self, at: usize, format: String, done: [bool; 3]) {
        if self.found.len() >= GUESSES_MAX {
            return;
        }
        let Some(token) = self.tokens.get(at).copied() else {
            if done[0] && !self.found.contains(&format) {
                self.found.push(format);
            }
            return;
        };
        let [date, time, weekday] = done;
        if let Token::Other(other) = token {
            self.go(at + 1, format + &other.replace('%', "%%"), done);
            return;
        }
        if !date {
            for (block, length, has_time) in self.dates(at) {
                if !(time && has_time) {
                    self.go(at + length, format!("{format}{block}"), [true, time || has_time, weekday]);
                }
            }
        }
        if !time && let Some((block, length)) = self.time(at) {
            let after = self.tokens.get(at + length);
            // Behind a time, a date needs more than a separator of dates.
            let is_apart = date || matches!(after, Some(Token::Other(other)) if other.contains([' ', ',', '_', ';']));
            // `2023` is rather a year than 20:23.
            let is_year = !date
                && matches!(token, Token::Digits(digits) if digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20")));
            let is_apart = is_apart && !is_year;
            if is_apart {
                for (end, more) in self.time_ends(at + length) {
                    let format = format!("{format}{block}{end}");
                    self.go(at + length + more, format, [date, true, weekday]);
                }
            }
        }
        if !weekday && is_name(token, &WEEKDAYS) {
            self.go(at + 1, format.clone() + "%a", [date, time, true]);
        }
        if let Token::Word(word @ ("T" | "t")) = token
            && date
            && !time
        {
            self.go(at + 1, format + word, done);
        }
    }

    fn token(&self, at: usize) -> Option<Token<'a>> {
        self.tokens.get(at).copied()
    }

    /// Dates that begin at a token: format, tokens, and whether the time is in it.
    fn dates(&self, at: usize) -> Vec<(String, usize, bool)> {
        let part = |ahead: usize| self.token(at + ahead);
        let mut found = Vec::new();
        let is_part = |token: Token<'_>| matches!(token, Token::Digits(digits) if matches!(digits.len(), 1 | 2 | 4));
        let is_month = |token: Token<'_>| is_name(token, &MONTHS);
        if let (Some(a), Some(Token::Other(one)), Some(b), Some(Token::Other(two)), Some(c)) =
            (part(0), part(1), part(2), part(3), part(4))
        {
            let is_one = is_date_separator(one) && is_date_separator(two);
            let names = [a, b].map(is_month);
            let is_date = (is_part(a) || names[0]) && (is_part(b) || names[1]) && is_part(c) && names != [true; 2];
            if is_date && is_one && (one == two || names != [false; 2] || !one.is_ascii()) {
                found.extend(orders(a, b, c).map(|[a, b, c]| (format!("{a}{one}{b}{two}{c}"), 5, false)));
            }
        }
        if let (Some(a @ Token::Digits(_)), Some(b), Some(c @ Token::Digits(_))) = (part(0), part(1), part(2))
            && is_part(a)
            && is_part(c)
            && is_month(b)
        {
            found.extend(orders(a, b, c).map(|order| (order.concat(), 3, false)));
        }
        if let (Some(a), Some(Token::Other(one)), Some(Token::Digits(b))) = (part(0), part(1), part(2))
            && is_date_separator(one)
        {
            let is_last = part(3).is_none() || (part(4).is_none() && part(3) == Some(Token::Other("月")));
            let is_before_time = matches!(part(3), Some(Token::Other(" ") | Token::Word("T")));
            let format = match (a, b.len()) {
                (Token::Digits(year), 3) if year.len() == 4 => Some("%Y-%j"),
                (Token::Digits(year), 1 | 2) if year.len() == 4 && *one == *"-" && is_before_time => Some("%Y-%j"),
                (Token::Digits(year), 3) if year.len() == 2 => Some("%y-%j"),
                (Token::Digits(year), 1 | 2) if year.len() == 4 && is_last => Some("%Y-%m"),
                (Token::Digits(month), 4) if month.len() <= 2 && is_last => Some("%m-%Y"),
                (name, 4) if is_month(name) && is_last => Some("%b-%Y"),
                _ => None,
            };
            found.extend(format.map(|format| (format.replace('-', one), 3, false)));
        }
        if let Some(Token::Digits(digits)) = part(0) {
            found.extend(compact(digits.len()).iter().map(|(format, has_time)| ((*format).to_owned(), 1, *has_time)));
        }
        found
    }

    /// A time that begins at a token.
    fn time(&self, at: usize) -> Option<(String, usize)> {
        let hour = if self.is_half { "%I" } else { "%H" };
        let Some(Token::Digits(first)) = self.token(at) else { return None };
        let before = at.checked_sub(1).and_then(|at| self.token(at));
        let is_blank = |token: Option<Token<'_>>| {
            token.is_none_or(|it| matches!(it, Token::Other(other) if other.trim().is_empty()))
        };
        match first.len() {
            1 | 2 => {}
            // By itself, it may have lost its zero.
            3 if is_blank(before) && is_blank(self.token(at + 1)) => return Some(("%H%M".to_owned(), 1)),
            4 => return Some(("%H%M".to_owned(), 1)),
            6 => return Some(("%H%M%S".to_owned(), 1)),
            _ => return None,
        }
        let mut format = hour.to_owned();
        let mut length = 1;
        for directive in ["%M", "%S"] {
            let (Some(Token::Other(between) | Token::Word(between)), Some(Token::Digits(digits))) =
                (self.token(at + length), self.token(at + length + 1))
            else {
                break;
            };
            let is_between = matches!(between, ":" | "." | "h" | "H" | "m" | "min" | "'")
                || between.chars().all(|c| UNITS_OF_TIME.contains(&c));
            if !is_between {
                break;
            }
            // Of a point, one digit or three are a fraction of an hour.
            if digits.len() > 2 || (between == "." && digits.len() == 1 && directive == "%M") {
                return None;
            }
            format.push_str(between);
            format.push_str(directive);
            length += 2;
        }
        if format.ends_with("%S")
            && let (Some(Token::Other("." | ",")), Some(Token::Digits(_))) =
                (self.token(at + length), self.token(at + length + 1))
        {
            format.push_str("%.f");
            length += 2;
        }
        Some((format, length))
    }

    /// What may follow a time at a token, format and tokens: nothing, a word for hours, AM or PM, an offset.
    fn time_ends(&self, at: usize) -> Vec<(String, usize)> {
        let mut found = vec![(String::new(), 0)];
        let (blank, word_at) = match self.token(at) {
            Some(Token::Other(other)) if other.trim().is_empty() => (other, at + 1),
            _ => ("", at),
        };
        let length = word_at - at + 1;
        if let Some(Token::Word(word)) = self.token(word_at) {
            if matches!(word, "h" | "H" | "hrs" | "Uhr" | "s") {
                return vec![(format!("{blank}{word}"), length)];
            }
            if self.is_half && is_meridiem(Token::Word(word)) {
                return vec![(format!("{blank}%p"), length)];
            }
            if matches!(word, "Z" | "UTC" | "GMT") && self.is_offset(word_at + 1, true) {
                return vec![(format!("{blank}%z"), self.tokens.len() - at)];
            }
        }
        if self.is_offset(at, false)
            && let Some(Token::Other(other)) = self.token(at)
        {
            found.push((format!("{}%z", &other[..other.len() - 1]), self.tokens.len() - at));
        }
        found
    }

    /// Whether an offset such as `+01:00` is all that is left; nothing is one where it is `named`.
    fn is_offset(&self, at: usize, named: bool) -> bool {
        match self.tokens.get(at..).unwrap_or_default() {
            [] => named,
            [Token::Other(sign), Token::Digits(_), rest @ ..] => {
                sign.ends_with(['+', '-']) && matches!(rest, [] | [Token::Other(":" | "."), Token::Digits(_)])
            }
            _ => false,
        }
    }
}

/// The orders of a date's three parts, likelier ones first.
fn orders(first: Token<'_>, second: Token<'_>, third: Token<'_>) -> impl Iterator<Item = [&'static str; 3]> {
    let length = |token| if let Token::Digits(digits) = token { digits.len() } else { 0 };
    let orders: &[[&str; 3]] = match (length(first), length(second), length(third)) {
        (0, ..) => &[["%b", "%d", "%Y"], ["%b", "%d", "%y"]],
        (4, 0, _) => &[["%Y", "%b", "%d"]],
        (_, 0, _) => &[["%d", "%b", "%Y"], ["%d", "%b", "%y"]],
        (4, ..) => &[["%Y", "%m", "%d"], ["%Y", "%d", "%m"]],
        (_, _, 4) => &[["%d", "%m", "%Y"], ["%m", "%d", "%Y"]],
        _ => &[["%d", "%m", "%y"], ["%m", "%d", "%y"], ["%y", "%m", "%d"]],
    };
    orders.iter().copied()
}

/// The formats of so many digits in a row that have a date, and whether they have the time too.
fn compact(digits: usize) -> &'static [(&'static str, bool)] {
    match digits {
        5 => &[("%y%j", false)],
        6 => &[("%y%m%d", false), ("%d%m%y", false), ("%m%d%y", false), ("%Y%m", false)],
        7 => &[("%Y%j", false)],
        8 => &[("%Y%m%d", false), ("%d%m%Y", false), ("%m%d%Y", false), ("%y%m%d%H", true)],
        9 => &[("%Y%j%H", true), ("%y%j%H%M", true)],
        10 => &[("%Y%m%d%H", true), ("%d%m%Y%H", true), ("%m%d%Y%H", true), ("%y%m%d%H%M", true), ("%d%m%y%H%M", true)],
        11 => &[("%Y%j%H%M", true)],
        12 => &[
            ("%Y%m%d%H%M", true),
            ("%d%m%Y%H%M", true),
            ("%m%d%Y%H%M", true),
            ("%y%m%d%H%M%S", true),
            ("%d%m%y%H%M%S", true),
        ],
        13 => &[("%Y%j%H%M%S", true)],
        14 => &[("%Y%m%d%H%M%S", true), ("%d%m%Y%H%M%S", true), ("%m%d%Y%H%M%S", true)],
        _ => &[],
    }
}

fn is_date_separator(text: &str) -> bool {
    matches!(text.trim(), "-" | "/" | "." | "," | "" | "_") || text.trim().chars().all(|c| UNITS_OF_TIME.contains(&c))
}
