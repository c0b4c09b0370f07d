//! Fewer points of the same shape.

/// A point of a line. Neighbours are joined where they are of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) run: usize,
}

/// At most `max` of these points in their order: of each stretch of the x axis its lowest and its highest. `max` is at
/// least 4. Points are sorted by x.
pub(super) fn lowest_and_highest(points: &[Point], max: usize) -> Vec<Point> {
    if points.len() <= max {
        return points.to_vec();
    }
    let (first, last) = (points[0].x, points[points.len() - 1].x);
    // The first and the last point stay, so that no line becomes shorter.
    let stretches = (max / 2 - 1).max(1);
    let width = ((last - first) / stretches as f64).max(f64::MIN_POSITIVE);
    let stretch_of = |x: f64| (((x - first) / width) as usize).min(stretches - 1);
    let inner = &points[1..points.len() - 1];
    let mut kept = Vec::with_capacity(max);
    kept.push(points[0]);
    for stretch in inner.chunk_by(|a, b| stretch_of(a.x) == stretch_of(b.x)) {
        let by_value = |a: &&Point, b: &&Point| a.y.total_cmp(&b.y);
        let (Some(low), Some(high)) = (stretch.iter().min_by(by_value), stretch.iter().max_by(by_value)) else {
            continue;
        };
        let (earlier, later) = if low.x <= high.x { (low, high) } else { (high, low) };
        kept.push(*earlier);
        if earlier != later {
            kept.push(*later);
        }
    }
    kept.push(points[points.len() - 1]);
    kept
}

/// The stretches of points that are joined.
pub(super) fn runs(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    points.chunk_by(|a, b| a.run == b.run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_and_ends_stay() {
        let mut points: Vec<Point> =
            (0..100_000).map(|i| Point { x: f64::from(i), y: f64::from(i % 7), run: 0 }).collect();
        points[43_210].y = 999.0;
        points[77_777].y = -999.0;
        let kept = lowest_and_highest(&points, 1000);
        assert!(kept.len() <= 1000);
        assert!(kept.contains(&points[43_210]) && kept.contains(&points[77_777]));
        assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[99_999]));
        assert!(kept.is_sorted_by(|a, b| a.x <= b.x));
    }

    #[test]
    fn points_of_one_time_do_not_break_it() {
        let points = vec![Point { x: 5.0, y: 1.0, run: 0 }; 5000];
        assert!(lowest_and_highest(&points, 100).len() <= 100);
    }
}
