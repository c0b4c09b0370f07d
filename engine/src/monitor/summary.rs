//! The summary of a run at its end.

use std::path::Path;

use super::field_table::field_table;
use super::worst_fields::worst_problems;
use crate::metrics::{CellProblem, Snapshot};
use crate::plural::{clause, counted};

/// Fields whose cells with a problem get a line each: those with the most.
const PROBLEM_LINES_MAX: usize = 20;

/// What became of the records of a run, and its files and time.
pub(super) fn summary_line(metrics: &Snapshot) -> String {
    let counts = &metrics.counts;
    let seconds = metrics.uptime.as_secs_f64();
    format!(
        "read {}{}, written {}, dead letters {}, filtered {}, held {}; {}in {seconds:.1} s{}",
        counts.read,
        changed(counts.made, counts.merged),
        counts.written,
        counts.dead,
        counts.filtered,
        metrics.held,
        files(metrics),
        match counts.read {
            0 => String::new(),
            read => format!(", {:.0} records/s", read as f64 / seconds.max(1e-3)),
        },
    )
}

/// The summary of a run, as lines. The table in it has lines of at most `chars_max` characters, where its numbers allow it.
#[must_use]
pub fn summary(name: &str, metrics: &Snapshot, chars_max: usize) -> Vec<String> {
    let counts = &metrics.counts;
    let mut text = vec![format!("{name}: {}", summary_line(metrics))];
    let uncommitted = metrics.read.saturating_sub(counts.read);
    if uncommitted > 0 {
        text.push(format!(
            "  {} read and {} not committed: the next start reads {} again",
            clause(uncommitted, "more record", "was", "were"),
            if uncommitted == 1 { "is" } else { "are" },
            if uncommitted == 1 { "it" } else { "them" }
        ));
    }
    if let Some(score) = counts.mean_score() {
        text.push(format!("  mean score {score:.6}"));
    }
    if !metrics.dead_letters.is_empty() {
        text.push("  dead letters by stage and reason:".to_owned());
        text.extend(metrics.dead_letters.lines().into_iter().map(|line| format!("    {line}")));
    }
    if counts.out_of_order + counts.repeated > 0 {
        let (back, repeated) = (counts.out_of_order, counts.repeated);
        text.push(format!("  records older than the one before them: {back}; of the same time as it: {repeated}"));
    }
    if metrics.passed_over > 0 {
        text.push(format!("  lines that are no records, such as a header that comes again: {}", metrics.passed_over));
    }
    if metrics.marks_ignored > 0 {
        text.push(format!(
            "  records whose quality marks could not be read, and were ignored: {}",
            metrics.marks_ignored
        ));
    }
    text.extend(cell_problems(metrics));
    text.extend(metrics.notes.iter().map(|(what, count)| format!("  {what}: {count}")));
    if !metrics.lacking_fields.is_empty() {
        let what =
            "keys that never had a listed field, which lowers their score (`fields_by_key` of `score` lists theirs)";
        text.push(format!("  {what}:"));
        text.extend(metrics.lacking_fields.iter().map(|line| format!("    {line}")));
    }
    text.extend(field_table(&metrics.fields, chars_max));
    text
}

fn cell_problems(metrics: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    for (problem, what) in [
        (CellProblem::Unreadable, "that could not be read"),
        (CellProblem::UnlistedCode, "with a code that `flags` does not list"),
    ] {
        let (worst, others) = worst_problems(&metrics.cell_problems, problem, PROBLEM_LINES_MAX);
        for (field, count) in worst {
            let place = count.place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
            lines.push(format!(
                "  {field}: {} {what}, the first is `{}`{place}",
                counted(count.cells, "cell"),
                count.text
            ));
        }
        if others.fields > 0 {
            let (fields, cells) = (counted(others.fields as u64, "more field"), counted(others.cells, "cell"));
            lines.push(format!("  and {fields} with {cells} {what}"));
        }
    }
    lines
}

/// The rows that transforms made of others, and those that they merged, where there are any: `, made 23`.
#[must_use]
pub fn changed(made: u64, merged: u64) -> String {
    let part = |what: &str, count: u64| if count > 0 { format!(", {what} {count}") } else { String::new() };
    part("made", made) + &part("merged", merged)
}

/// The number of files written and their directories: the sink and the dead letters may have one each.
fn files(metrics: &Snapshot) -> String {
    let count = match metrics.files + metrics.dead_letter_files {
        0 => return String::new(),
        number => format!("{} ", counted(number, "file")),
    };
    let here = std::env::current_dir().unwrap_or_default();
    let place = |dir: &String| {
        let below = Path::new(dir).strip_prefix(&here).map_or(Path::new(dir), |below| below);
        format!("{}/", below.display())
    };
    let places: Vec<_> = metrics.files_in.iter().map(place).collect();
    if places.is_empty() { count } else { format!("{count}in {} ", places.join(" and ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter_groups::DeadLetterGroups;
    use crate::metrics::{Counts, FieldCells, Metrics};

    #[test]
    fn the_summary_says_where_the_files_are() {
        let here = std::env::current_dir().expect("a directory");
        let of = |files: u64, places: &[&str]| {
            let files_in = places.iter().map(|place| (*place).to_owned()).collect();
            summary("p", &Snapshot { files, files_in, ..Snapshot::default() }, 80).concat()
        };
        let below = here.join("out").display().to_string();
        assert!(of(1, &[&below]).contains("; 1 file in out/ in 0.0 s"), "{}", of(1, &[&below]));
        assert!(of(2, &[&below, "/dead"]).contains("; 2 files in out/ and /dead/ in 0.0 s"));
        assert!(of(0, &[]).contains("held 0; in 0.0 s"));
    }

    #[test]
    fn the_summary_names_cells_that_could_not_be_read_with_the_first_one() {
        let metrics = Metrics::default();
        for (text, cells) in [("<0.5", 2), ("ERR", 3)] {
            let first = || (text.to_owned(), Some("in.csv:7".to_owned()));
            metrics.record_cell_problem(CellProblem::Unreadable, "NO2", cells, first);
        }
        let text = summary("p", &metrics.snapshot(), 80).join("\n");
        assert!(text.ends_with("  NO2: 5 cells that could not be read, the first is `<0.5` at in.csv:7"), "{text}");
        (0..2_000).for_each(|field| {
            metrics.record_cell_problem(CellProblem::Unreadable, &format!("f{field}"), 1, || (String::new(), None));
        });
        let problems = metrics.snapshot().cell_problems;
        assert_eq!(problems.len(), 1_001);
        assert_eq!(problems.iter().map(|(.., count)| count.cells).sum::<u64>(), 2_005, "all are counted");
        let text = summary("p", &metrics.snapshot(), 80);
        assert_eq!(text.len(), 1 + PROBLEM_LINES_MAX + 1, "{text:#?}");
        assert!(
            text[1].starts_with("  other fields: 1001 cells") && text[2].starts_with("  NO2: 5 cells"),
            "{text:#?}"
        );
        assert_eq!(text[21], "  and 981 more fields with 981 cells that could not be read");
    }

    #[test]
    fn the_summary_has_what_sources_note() {
        let metrics = Metrics::default();
        metrics.note("messages without a value", 2);
        metrics.note("messages without a value", 1);
        metrics.note("nothing", 0);
        let text = summary("p", &metrics.snapshot(), 80);
        assert_eq!(&text[1..], ["  messages without a value: 3"]);
    }

    #[test]
    fn the_summary_names_what_became_of_every_record() {
        let mut counts = Counts { read: 10, written: 7, dead: 2, filtered: 1, ..Counts::default() };
        (counts.scored, counts.score_sum) = (7, 6.3);
        let mut dead_letters = DeadLetterGroups::default();
        dead_letters.add("csv", "the row has 3 cells", "a.csv:7");
        dead_letters.add("csv", "the row has 4 cells", "a.csv:9");
        let lacking_fields = vec!["b: T, RH".to_owned()];
        let fields = vec![FieldCells { field: "CO(GT)".into(), flags: [1, 2, 3, 4, 5], ..FieldCells::default() }];
        let snapshot = Snapshot { counts, dead_letters, lacking_fields, fields, ..Snapshot::default() };
        let text = summary("p", &snapshot, 100);
        let text = text.join("\n");
        assert!(text.contains("lists theirs):\n    b: T, RH\n"), "{text}");
        assert!(text.starts_with("p: read 10, written 7, dead letters 2, filtered 1, held 0;"), "{text}");
        assert!(text.contains("mean score 0.900000"), "{text}");
        let dead = "dead letters by stage and reason:\n    2  csv  the row has … cells; first at a.csv:7\n";
        assert!(text.contains(dead), "{text}");
        assert!(
            text.ends_with("  CO(GT)         0       0           0        0     1        3     4            2"),
            "{text}"
        );
    }
}
