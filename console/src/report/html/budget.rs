//! The bytes that a page has left.

/// Counts them down.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Budget {
        Budget { left: bytes }
    }

    /// Takes a part, where there is room for it.
    pub(super) fn take(&mut self, part: String) -> Option<String> {
        self.left = self.left.checked_sub(part.len())?;
        Some(part)
    }

    /// A share of what is left, for one of so many that are still to come. What is not used of it comes back by
    /// [`give_back`](Self::give_back).
    pub(super) fn share(&mut self, of: usize) -> Budget {
        let share = self.left / of.max(1);
        self.left -= share;
        Budget { left: share }
    }

    pub(super) fn give_back(&mut self, share: &mut Budget) {
        self.left += std::mem::take(&mut share.left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_and_shares_add_up() {
        let mut budget = Budget::new(10);
        let mut half = budget.share(2);
        assert_eq!(half.take("12345678".to_owned()), None);
        assert_eq!(half.take("1234".to_owned()).as_deref(), Some("1234"));
        budget.give_back(&mut half);
        assert_eq!(budget.take("123456".to_owned()).as_deref(), Some("123456"));
        assert_eq!(budget.take("1".to_owned()), None);
    }
}
