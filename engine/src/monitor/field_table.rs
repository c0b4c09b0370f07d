//! What became of the cells of each field, as a table.

use super::status::FieldStatus;
use super::worst_fields::heaviest;
use crate::metrics::FieldCells;
use crate::plural::{clause, counted};
use crate::printable;

/// Characters that a name keeps, however narrow the terminal is.
const NAME_CHARS_MIN: usize = 8;

type Count = fn(&FieldStatus) -> u64;

/// The heads of the columns, as they are and as they are on a narrow terminal.
const COLUMNS: [(&str, &str, Count); 8] = [
    ("observed", "obs.", |field| field.observed),
    ("filled", "filled", |field| field.filled.values().sum()),
    ("unreadable", "unread.", |field| field.unreadable),
    ("missing", "miss.", |field| field.missing),
    ("good", "good", |field| field.good),
    ("suspect", "susp.", |field| field.suspect),
    ("fail", "fail", |field| field.fail),
    ("not checked", "no chk.", |field| field.not_checked),
];
const CENSORED: (&str, &str, Count) = ("censored", "cens.", |field| field.censored);

/// Fields that get a line each: a screen or two. Of more, those with the most cells that are no good.
const FIELD_LINES_MAX: usize = 50;

/// A line with the heads of the columns and one for each field, in the order of the pipeline; none without fields. A cell counts once
/// among the columns that say where its value came from (a fill is no observation), and once more by its flag. Of many fields, those
/// are told in which most cells have no value or a bad one. Where the lines would be longer than `chars_max`, heads and names are
/// shortened.
pub(super) fn field_table(fields: &[FieldCells], chars_max: usize) -> Vec<String> {
    let fields: Vec<FieldStatus> = fields.iter().map(FieldStatus::from).collect();
    let (fields, others) = heaviest(fields, FIELD_LINES_MAX, FieldStatus::bad_cells);
    if fields.is_empty() {
        return Vec::new();
    }
    let mut lines = table_within(&fields, chars_max);
    if !others.is_empty() {
        let bad = others.iter().map(FieldStatus::bad_cells).sum();
        let (others, bad) = (counted(others.len() as u64, "more field"), clause(bad, "value", "is", "are"));
        lines.push(format!("  and {others}, in which {bad} missing, unreadable or flagged"));
    }
    lines
}

/// The table with lines of at most so many characters, as far as its numbers allow.
fn table_within(fields: &[FieldStatus], chars_max: usize) -> Vec<String> {
    let mut columns = COLUMNS.to_vec();
    if fields.iter().any(|field| field.censored > 0) {
        columns.insert(1, CENSORED);
    }
    let (long, short): (Vec<_>, Vec<_>) =
        columns.into_iter().map(|(long, short, count)| ((long, count), (short, count))).unzip();
    let whole = table(fields, &long, usize::MAX);
    let is_wide = |lines: &[String]| lines.iter().any(|line| line.chars().count() > chars_max);
    if !is_wide(&whole) {
        return whole;
    }
    let short_heads = table(fields, &short, usize::MAX);
    let excess = short_heads.iter().map(|line| line.chars().count()).max().unwrap_or(0).saturating_sub(chars_max);
    match excess {
        0 => short_heads,
        _ => table(fields, &short, name_width(fields).saturating_sub(excess).max(NAME_CHARS_MIN)),
    }
}

fn name_width(fields: &[FieldStatus]) -> usize {
    fields.iter().map(|field| printable::line(&field.field).chars().count()).max().unwrap_or(0).max("field".len())
}

/// The table with names of at most so many characters.
fn table(fields: &[FieldStatus], columns: &[(&str, Count)], name_max: usize) -> Vec<String> {
    let width = name_width(fields).min(name_max);
    let mut head = format!("  {:width$}", "field");
    let name = |field: &FieldStatus| printable::shortened(printable::line(&field.field), name_max).into_owned();
    let mut lines: Vec<String> = fields.iter().map(|field| format!("  {:width$}", name(field))).collect();
    for (title, count) in columns {
        let counts: Vec<String> = fields.iter().map(|field| count(field).to_string()).collect();
        let width = counts.iter().map(String::len).max().unwrap_or_default().max(title.len());
        head.push_str(&format!("  {title:>width$}"));
        lines.iter_mut().zip(&counts).for_each(|(line, count)| line.push_str(&format!("  {count:>width$}")));
    }
    lines.insert(0, head);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::CellTally;
    use crate::record::Provenance;

    fn field(name: &str, observed: u64, censored: u64) -> FieldCells {
        let mut tally = CellTally::default();
        (tally.unreadable, tally.missing) = (3, 4);
        tally.provenance[Provenance::Observed as usize] = observed;
        tally.provenance[Provenance::Censored as usize] = censored;
        tally.provenance[Provenance::Median as usize] = 20;
        tally.provenance[Provenance::ForwardFill as usize] = 1;
        FieldCells { field: name.into(), flags: [1, 2, 5, 6, 7], tally, tests: Vec::new() }
    }

    #[test]
    fn fields_stand_in_the_order_of_the_pipeline_and_a_fill_is_no_observation() {
        assert_eq!(
            field_table(&[field("NO2(GT)", 1_234_567_890, 0), field("AH", 0, 0)], 100),
            [
                "  field      observed  filled  unreadable  missing  good  suspect  fail  not checked",
                "  NO2(GT)  1234567890      21           3        4     1        5     6            2",
                "  AH                0      21           3        4     1        5     6            2",
            ]
        );
        let censored = field_table(&[field("O3", 9, 8)], 100);
        assert_eq!(
            censored[0],
            "  field  observed  censored  filled  unreadable  missing  good  suspect  fail  not checked"
        );
        assert_eq!(
            censored[1],
            "  O3            9         8      21           3        4     1        5     6            2"
        );
        assert!(field_table(&[], 80).is_empty());
    }

    #[test]
    fn the_table_keeps_within_a_terminal_and_cuts_names_in_their_middle() {
        let narrow = field_table(&[field("NO2(GT)", 9_357, 0), field("PT08.S3(NOx)", 9_357, 0)], 80);
        assert_eq!(
            narrow,
            [
                "  field         obs.  filled  unread.  miss.  good  susp.  fail  no chk.",
                "  NO2(GT)       9357      21        3      4     1      5     6        2",
                "  PT08.S3(NOx)  9357      21        3      4     1      5     6        2",
            ]
        );
        let names = ["a-name-of-some-length-that-ends-in-1", "a-name-of-some-length-that-ends-in-2"];
        let narrow = field_table(&names.map(|name| field(name, 12_345, 8)), 80);
        assert!(narrow.iter().all(|line| line.chars().count() == 80), "{narrow:#?}");
        assert!(narrow[1].contains("…") && narrow[1] != narrow[2], "{narrow:#?}");
        let least = field_table(&[field(names[0], 1, 0)], 20);
        assert!(least[1].starts_with("  a-na…n-1  "), "{least:?}");
    }

    #[test]
    fn of_many_fields_the_worst_are_told_in_their_order_and_the_others_are_counted() {
        let fields: Vec<FieldCells> = (0..620)
            .map(|at| {
                let mut one = field(&format!("f{at}"), 1, 0);
                one.tally.missing = if at % 10 == 9 { 1_000 + at } else { 0 };
                one
            })
            .collect();
        let table = field_table(&fields, 200);
        assert_eq!(table.len(), 1 + FIELD_LINES_MAX + 1);
        let told: Vec<u64> =
            table[1..=FIELD_LINES_MAX].iter().filter_map(|line| line[3..].split(' ').next()?.parse().ok()).collect();
        assert!(told.len() == FIELD_LINES_MAX && told.is_sorted() && told.iter().all(|at| at % 10 == 9), "{told:?}");
        assert!(table[51].starts_with("  and 570 more fields, in which "), "{}", table[51]);
    }
}
