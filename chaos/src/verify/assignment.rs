//! The partitions that a member of a group kept and moved, as its log says.

use std::collections::BTreeSet;

/// How many partitions members kept, and how many they gave back, in the rebalances that took some from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moves {
    pub(crate) kept: usize,
    pub(crate) moved: usize,
}

impl Moves {
    pub(crate) fn add(&mut self, other: Moves) {
        self.kept += other.kept;
        self.moved += other.moved;
    }
}

/// Reads the log of a member that was not told to end. With cooperative assignment each member keeps a partition as long
/// as there are no more members than partitions.
///
/// # Errors
/// The line of the log by which a member gave back all that it had.
pub(crate) fn moves(log: &str) -> Result<Moves, String> {
    let (mut moves, mut held) = (Moves::default(), BTreeSet::new());
    for line in log.lines() {
        let names = |what: &str| line.split_once(what).map(|(_, names)| partitions(names));
        if let Some(assigned) = names(": assigned: ") {
            held.extend(assigned);
        } else if let Some(lost) = names(": lost: ") {
            held.retain(|partition| !lost.contains(partition));
        } else if let Some(given_back) = names(": given back: ") {
            held.retain(|partition| !given_back.contains(partition));
            if held.is_empty() {
                return Err(line.to_owned());
            }
            moves.add(Moves { kept: held.len(), moved: given_back.len() });
        }
    }
    Ok(moves)
}

/// The partitions `a/0, a/1`, before the fields of a log line.
fn partitions(names: &str) -> BTreeSet<String> {
    names.split(", ").filter_map(|name| name.split(' ').next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSIGNED: &str = "2026-01-01T00:00:00Z  INFO p: assigned: in/0, in/1, in/2 stage=kafka\n";

    #[test]
    fn partitions_that_stay_are_told_from_those_that_move() {
        let log = format!(
            "{ASSIGNED}x INFO p: given back: in/1 stage=kafka\nx INFO p: assigned: in/1 stage=kafka\n\
             x INFO p: given back: in/0, in/2 stage=kafka\n"
        );
        assert_eq!(moves(&log), Ok(Moves { kept: 3, moved: 3 }));
    }

    #[test]
    fn a_member_that_gives_back_all_is_found_and_one_that_loses_all_is_none() {
        let all = "x INFO p: given back: in/0, in/1, in/2 stage=kafka";
        assert_eq!(moves(&format!("{ASSIGNED}{all}\n")), Err(all.to_owned()));
        let log = format!("{ASSIGNED}x WARN p: lost: in/0, in/1, in/2 stage=kafka\n{ASSIGNED}");
        assert_eq!(moves(&log), Ok(Moves::default()));
    }
}
