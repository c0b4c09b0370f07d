//! The lag from window to window.

use std::time::Duration;

/// How the lag grows.
#[derive(Debug, Default)]
pub(in crate::monitor) struct LagTrend {
    last: Option<(Duration, u64)>,
    /// The lag before the windows in which it grew.
    began: u64,
    grew: u32,
}

impl LagTrend {
    /// Takes the lag of a moment; a window is looked at once it has passed.
    pub(in crate::monitor) fn observe(&mut self, at: Duration, lag: Option<u64>, window: Duration) {
        let Some(lag) = lag else {
            *self = LagTrend::default();
            return;
        };
        match self.last {
            None => (self.last, self.began) = (Some((at, lag)), lag),
            Some((before, _)) if at.saturating_sub(before) < window => {}
            Some((_, before)) => {
                self.last = Some((at, lag));
                if lag > before {
                    self.grew = self.grew.saturating_add(1);
                } else {
                    (self.grew, self.began) = (0, lag);
                }
            }
        }
    }

    /// The windows in a row in which it grew, and the lag before them; `None` where it is not known.
    pub(in crate::monitor) fn grew(&self) -> Option<(u32, u64)> {
        self.last.map(|_| (self.grew, self.began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_in_which_the_lag_grows_are_counted_in_a_row() {
        let mut trend = LagTrend::default();
        let window = Duration::from_secs(10);
        let grew = |trend: &mut LagTrend, second: u64, lag: Option<u64>| {
            trend.observe(Duration::from_secs(second), lag, window);
            trend.grew()
        };
        assert_eq!(grew(&mut trend, 0, Some(5)), Some((0, 5)));
        assert_eq!(grew(&mut trend, 5, Some(99)), Some((0, 5)), "a peak within a window is none");
        assert_eq!(grew(&mut trend, 10, Some(7)), Some((1, 5)));
        assert_eq!(grew(&mut trend, 20, Some(8)), Some((2, 5)));
        assert_eq!(grew(&mut trend, 30, Some(8)), Some((0, 8)));
        assert_eq!(grew(&mut trend, 31, None), None, "unknown is not 0");
        assert_eq!(grew(&mut trend, 40, Some(9)), Some((0, 9)));
    }
}
