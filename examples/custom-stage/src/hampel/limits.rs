//! When a value is a spike.

use aqpipe_engine::record::Flag;

/// The standard deviation of normally distributed values, in median absolute deviations.
const STANDARD_DEVIATION_MADS: f64 = 1.4826;

/// The limits of a good value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) radius: usize,
    pub(super) threshold: f64,
    pub(super) min_distance: f64,
}

impl Limits {
    /// The flag of a value among its neighbours; `None` where these are too few.
    pub(super) fn flag(self, value: f64, mut neighbours: Vec<f64>) -> Option<Flag> {
        if neighbours.len() < self.radius {
            return None;
        }
        let center = median(&mut neighbours);
        let mut distances: Vec<f64> = neighbours.iter().map(|neighbour| (neighbour - center).abs()).collect();
        let spread = STANDARD_DEVIATION_MADS * median(&mut distances);
        let limit = (self.threshold * spread).max(self.min_distance);
        // A NaN is no good value either.
        Some(if (value - center).abs() <= limit { Flag::Good } else { Flag::Suspect })
    }
}

/// The median of at least one value.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { radius: 2, threshold: 3.0, min_distance: 0.5 };

    #[test]
    fn a_value_far_from_the_median_of_its_neighbours_is_suspect() {
        let neighbours = || vec![10.0, 10.4, 9.8, 10.1];
        assert_eq!(LIMITS.flag(10.3, neighbours()), Some(Flag::Good));
        assert_eq!(LIMITS.flag(14.0, neighbours()), Some(Flag::Suspect));
        assert_eq!(LIMITS.flag(f64::NAN, neighbours()), Some(Flag::Suspect));
    }

    #[test]
    fn equal_neighbours_leave_room_for_the_smallest_distance() {
        assert_eq!(LIMITS.flag(10.5, vec![10.0; 4]), Some(Flag::Good));
        assert_eq!(LIMITS.flag(10.6, vec![10.0; 4]), Some(Flag::Suspect));
    }

    #[test]
    fn too_few_neighbours_decide_nothing() {
        assert_eq!(LIMITS.flag(99.0, vec![10.0]), None);
    }
}
