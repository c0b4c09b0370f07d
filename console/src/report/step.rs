//! The sampling step of a station: the time from one of its readings to the next, and how much it varies.

use super::civil::SECOND_MICROS;

/// Distances that are looked at: of more, an even choice.
const DISTANCES_MAX: usize = 1 << 16;
/// From here up, distances are compared by their seconds: clocks jitter.
const ROUNDED_FROM_MICROS: i64 = 10 * SECOND_MICROS;
/// A distance is the step where so many are alike, and more than a twentieth of all.
const ALIKE_MIN: usize = 3;
const ALIKE_SHARE: usize = 20;
/// Steps that instruments are set to, in seconds.
const USUAL_SECONDS: [i64; 26] = [
    1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 720, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600,
    28_800, 43_200, 86_400, 172_800, 604_800,
];

/// A sampling step in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The time from one reading to the next.
    pub(super) micros: i64,
    /// How far nineteen of twenty times are off it at most.
    pub(super) jitter: i64,
}

/// Distances between readings that follow each other.
#[derive(Clone, Debug, Default)]
pub(super) struct StepFinder {
    distances: Vec<i64>,
    seen: u64,
    /// One in so many (a power of two, by its exponent) is kept.
    thinning: u32,
}

impl StepFinder {
    /// Takes the distance, in microseconds, of a reading from the one before it.
    pub(super) fn add(&mut self, distance: i64) {
        if distance <= 0 {
            return;
        }
        self.seen = self.seen.wrapping_add(1);
        // Spread like random numbers: every second distance may be of another kind.
        if self.thinning > 0 && self.seen.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - self.thinning) != 0 {
            return;
        }
        if self.distances.len() >= DISTANCES_MAX {
            let mut at: u64 = 0;
            self.distances.retain(|_| {
                at += 1;
                at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0
            });
            self.thinning = (self.thinning + 1).min(63);
        }
        self.distances.push(distance);
    }

    /// The step that most distances have; `None` without any.
    pub(super) fn step(&mut self) -> Option<Step> {
        self.distances.sort_unstable();
        let center = self.most_frequent().or_else(|| self.densest())?;
        let mut step = self.around(center);
        if step.jitter > 0 && step.micros >= ROUNDED_FROM_MICROS {
            step.micros = rounded(step.micros);
        }
        // The clock of the station varies, not what it is set to.
        let tolerance = step.jitter.min(step.micros / 10);
        let off = |usual: &i64| (usual - step.micros).abs();
        let usual = USUAL_SECONDS.iter().map(|seconds| seconds * SECOND_MICROS).min_by_key(off);
        if let Some(usual) = usual.filter(|usual| off(usual) <= tolerance) {
            step.micros = usual;
        }
        Some(step)
    }

    /// A step that is known, with the jitter of the distances about it.
    pub(super) fn given(&mut self, micros: i64) -> Step {
        self.distances.sort_unstable();
        Step { micros, ..self.around(micros) }
    }

    fn most_frequent(&self) -> Option<i64> {
        let runs = self.distances.chunk_by(|a, b| rounded(*a) == rounded(*b));
        // The shortest of several.
        let most = runs.rev().max_by_key(|run| run.len())?;
        (most.len() >= ALIKE_MIN && most.len() * ALIKE_SHARE >= self.distances.len()).then_some(most[most.len() / 2])
    }

    /// The middle of the most distances of which none is half as long again as another.
    fn densest(&self) -> Option<i64> {
        let mut end = 0;
        let mut best: &[i64] = &[];
        for (start, least) in self.distances.iter().enumerate() {
            while self.distances.get(end).is_some_and(|one| one / 3 <= least / 2) {
                end += 1;
            }
            if end.saturating_sub(start) > best.len() {
                best = &self.distances[start..end];
            }
        }
        best.get(best.len().saturating_sub(1) / 2).copied()
    }

    /// The median of the distances about one, and how far they are off it. Distances of two steps are those of gaps.
    fn around(&self, center: i64) -> Step {
        let from = self.distances.partition_point(|one| *one <= center / 3 * 2);
        let end = self.distances.partition_point(|one| *one / 3 < center / 2);
        let about = self.distances.get(from..end).unwrap_or_default();
        let Some(median) = about.get(about.len().saturating_sub(1) / 2).copied() else {
            return Step { micros: center, jitter: 0 };
        };
        let mut off: Vec<i64> = about.iter().map(|one| one.abs_diff(median).min(i64::MAX as u64) as i64).collect();
        off.sort_unstable();
        let jitter = off.get(off.len().saturating_sub(1) * 19 / 20).copied().unwrap_or(0);
        Step { micros: median, jitter }
    }
}

fn rounded(distance: i64) -> i64 {
    match distance {
        ROUNDED_FROM_MICROS.. => distance.saturating_add(SECOND_MICROS / 2) / SECOND_MICROS * SECOND_MICROS,
        _ => distance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600 * SECOND_MICROS;

    fn step(distances: impl IntoIterator<Item = i64>) -> Option<Step> {
        let mut finder = StepFinder::default();
        distances.into_iter().for_each(|distance| finder.add(distance));
        assert!(finder.distances.len() <= DISTANCES_MAX);
        finder.step()
    }

    fn micros(distances: impl IntoIterator<Item = i64>) -> Option<i64> {
        step(distances).map(|step| step.micros)
    }

    /// Numbers from -1 to 1 that look like random ones.
    fn noise(at: i64) -> f64 {
        (at.wrapping_mul(7_919) % 10_007) as f64 / 5_003.5 - 1.0
    }

    /// The distances of readings whose times are off by so much at most.
    fn jittering(step: i64, jitter: i64, lost: impl Fn(i64) -> bool) -> Vec<i64> {
        let times = (0..20_000).filter(|at| !lost(*at)).map(|at| at * step + (noise(at * at) * jitter as f64) as i64);
        let mut times: Vec<i64> = times.collect();
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn the_step_is_the_most_frequent_distance_whatever_gaps_there_are() {
        assert_eq!(step([]), None);
        assert_eq!(micros([5 * HOUR, HOUR, HOUR + 300_000, 2 * HOUR, HOUR, -HOUR, 0]), Some(HOUR));
        assert_eq!(step([HOUR; 5]), Some(Step { micros: HOUR, jitter: 0 }));
        assert_eq!(micros([5 * HOUR, HOUR]), Some(HOUR), "the shortest of several");
        // Seven in ten readings are lost.
        let mut sparse = Vec::new();
        let mut last = 0;
        (1..50_000_i64).filter(|at| noise(at * at) < -0.4).for_each(|at| {
            sparse.push((at - last) * HOUR);
            last = at;
        });
        assert_eq!(micros(sparse), Some(HOUR));
    }

    #[test]
    fn a_step_that_is_not_usual_stays_where_clocks_do_not_jitter() {
        for odd in [417 * SECOND_MICROS, 10_000, 3_599 * SECOND_MICROS, 31 * 24 * HOUR, 7] {
            assert_eq!(step(vec![odd; 100]), Some(Step { micros: odd, jitter: 0 }));
        }
    }

    #[test]
    fn times_that_jitter_have_the_usual_step_about_which_they_do() {
        for (seconds, jitter) in [(3_600, 600), (300, 20), (3_600, 2), (60, 6), (86_400, 3_600), (600, 100)] {
            for lost in [|_| false, |at: i64| at % 10 == 0] {
                let found = step(jittering(seconds * SECOND_MICROS, jitter * SECOND_MICROS, lost)).expect("a step");
                assert_eq!(found.micros, seconds * SECOND_MICROS, "{seconds} s, jitter {jitter} s");
                let off = found.jitter / SECOND_MICROS;
                assert!(off > jitter / 2 && off <= 2 * jitter, "{off} s for {jitter} s");
            }
        }
    }

    #[test]
    fn of_many_distances_an_even_choice_is_looked_at() {
        let two_kinds = (0..2_000_000).map(|at| if at % 2 == 0 { 600 } else { 900 } * SECOND_MICROS);
        let found = step(two_kinds).expect("a step");
        assert!([600, 720, 900].contains(&(found.micros / SECOND_MICROS)), "{found:?}");
        assert_eq!(micros((0..1_000_000).map(|at| if at % 3 == 0 { 5 } else { 1 } * HOUR)), Some(HOUR));
        assert_eq!(micros([i64::MAX, i64::MAX]), Some(i64::MAX));
    }
}
