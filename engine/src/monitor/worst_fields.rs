//! Which fields are told where there is no room for all: those with the most cells that have a problem.

use crate::metrics::{CellProblem, CellProblemCount};

/// What was not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    pub(super) fields: usize,
    pub(super) cells: u64,
}

/// The fields with the most cells of a problem, and what the others have. All of them, in their order, where there is room.
pub(super) fn worst_problems(
    problems: &[(CellProblem, String, CellProblemCount)],
    problem: CellProblem,
    most: usize,
) -> (Vec<(&str, &CellProblemCount)>, Others) {
    let mut fields: Vec<(&str, &CellProblemCount)> = problems
        .iter()
        .filter(|(other, ..)| *other == problem)
        .map(|(_, field, count)| (field.as_str(), count))
        .collect();
    if fields.len() <= most {
        return (fields, Others::default());
    }
    fields.sort_by_key(|(_, count)| std::cmp::Reverse(count.cells));
    let rest = fields.split_off(most);
    let cells = rest.iter().map(|(_, count)| count.cells).sum();
    (fields, Others { fields: rest.len(), cells })
}

/// Splits rows into those that weigh most, in their order, and the others.
pub(super) fn heaviest<T>(rows: Vec<T>, most: usize, weight: impl Fn(&T) -> u64) -> (Vec<T>, Vec<T>) {
    if rows.len() <= most {
        return (rows, Vec::new());
    }
    let mut by_weight: Vec<usize> = (0..rows.len()).collect();
    by_weight.sort_by_key(|at| std::cmp::Reverse(weight(&rows[*at])));
    let mut stays = vec![false; rows.len()];
    by_weight[..most].iter().for_each(|at| stays[*at] = true);
    let mut told = Vec::new();
    let mut others = Vec::new();
    for (row, stays) in rows.into_iter().zip(stays) {
        if stays { told.push(row) } else { others.push(row) }
    }
    (told, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_rows_stay_in_their_order() {
        assert_eq!(heaviest(vec![3, 1, 5, 4], 2, |row| *row), (vec![5, 4], vec![3, 1]));
        assert_eq!(heaviest(vec![1, 1, 1], 2, |row| *row), (vec![1, 1], vec![1]), "the first of equals");
        assert_eq!(heaviest(vec![1, 2], 2, |row| *row), (vec![1, 2], vec![]));
        assert_eq!(heaviest(vec![1], 0, |row| *row), (vec![], vec![1]));
    }
}
