//! What became of the cells of each field, as a table.

use super::status::FieldStatus;
use super::worst_fields::heaviest;
use crate::metrics::FieldCells;

/// Fields that get a line each: a screen or two. Of more, those with the most cells that are no good.
const FIELD_LINES_MAX: usize = 50;

/// A line with the heads of the columns and one for each field, in the order of the pipeline; none without fields. A cell counts once
/// among the columns that say where its value came from (a fill is no observation), and once more by its flag. Of many fields, those
/// are told in which most cells have no value or a bad one.
pub(super) fn field_table(fields: &[FieldCells]) -> Vec<String> {
    let fields: Vec<FieldStatus> = fields.iter().map(FieldStatus::from).collect();
    let (fields, others) = heaviest(fields, FIELD_LINES_MAX, FieldStatus::bad_cells);
    if fields.is_empty() {
        return Vec::new();
    }
    type Count = fn(&FieldStatus) -> u64;
    let mut columns: Vec<(&str, Count)> = vec![
        ("observed", |field| field.observed),
        ("filled", |field| field.filled.values().sum()),
        ("unreadable", |field| field.unreadable),
        ("missing", |field| field.missing),
        ("good", |field| field.good),
        ("suspect", |field| field.suspect),
        ("fail", |field| field.fail),
        ("not checked", |field| field.not_checked),
    ];
    if fields.iter().any(|field| field.censored > 0) {
        columns.insert(1, ("censored", |field| field.censored));
    }
    let width = fields.iter().map(|field| field.field.chars().count()).max().unwrap_or_default().max("field".len());
    let mut head = format!("  {:width$}", "field");
    let mut lines: Vec<String> = fields.iter().map(|field| format!("  {:width$}", field.field)).collect();
    for (name, count) in columns {
        let counts: Vec<String> = fields.iter().map(|field| count(field).to_string()).collect();
        let width = counts.iter().map(String::len).max().unwrap_or_default().max(name.len());
        head.push_str(&format!("  {name:>width$}"));
        lines.iter_mut().zip(&counts).for_each(|(line, count)| line.push_str(&format!("  {count:>width$}")));
    }
    lines.insert(0, head);
    if !others.is_empty() {
        let bad: u64 = others.iter().map(FieldStatus::bad_cells).sum();
        lines.push(format!(
            "  and {} more fields, in which {bad} values are missing, unreadable or flagged",
            others.len()
        ));
    }
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
            field_table(&[field("NO2(GT)", 1_234_567_890, 0), field("AH", 0, 0)]),
            [
                "  field      observed  filled  unreadable  missing  good  suspect  fail  not checked",
                "  NO2(GT)  1234567890      21           3        4     1        5     6            2",
                "  AH                0      21           3        4     1        5     6            2",
            ]
        );
        let censored = field_table(&[field("O3", 9, 8)]);
        assert_eq!(
            censored[0],
            "  field  observed  censored  filled  unreadable  missing  good  suspect  fail  not checked"
        );
        assert_eq!(
            censored[1],
            "  O3            9         8      21           3        4     1        5     6            2"
        );
        assert!(field_table(&[]).is_empty());
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
        let table = field_table(&fields);
        assert_eq!(table.len(), 1 + FIELD_LINES_MAX + 1);
        let told: Vec<u64> =
            table[1..=FIELD_LINES_MAX].iter().filter_map(|line| line[3..].split(' ').next()?.parse().ok()).collect();
        assert!(told.len() == FIELD_LINES_MAX && told.is_sorted() && told.iter().all(|at| at % 10 == 9), "{told:?}");
        assert!(table[51].starts_with("  and 570 more fields, in which "), "{}", table[51]);
    }
}
