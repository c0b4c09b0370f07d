//! The names of the QC tests that objected to a cell.

use std::sync::Arc;

use parking_lot::RwLock;

/// How many test names a pipeline can tell apart: the bits that a cell quality has for them.
const TEST_BITS_MAX: usize = 16;

/// The names behind the test bits of a pipeline's cell qualities. Bit 0 is `syntax`; the last bit stands for all
/// that found no room and is called `other`.
#[derive(Debug)]
pub struct QcTests {
    names: RwLock<Vec<Arc<str>>>,
}

impl QcTests {
    /// The bit of QARTOD's syntax test: the cell holds something that is neither a number nor a word for "no value".
    pub const SYNTAX: u8 = 0;
    const SYNTAX_NAME: &'static str = "syntax";
    /// What the last bit is called once more names came than there is room for.
    const OTHER: &'static str = "other";

    /// The bit of a test, given out at its first mention.
    pub fn bit(&self, name: &str) -> u8 {
        if let Some(bit) = self.names.read().iter().position(|known| &**known == name) {
            return bit as u8;
        }
        let mut names = self.names.write();
        if let Some(bit) = names.iter().position(|known| &**known == name) {
            return bit as u8;
        }
        if names.len() == TEST_BITS_MAX - 1 {
            names.push(Self::OTHER.into());
        }
        if names.len() == TEST_BITS_MAX {
            return TEST_BITS_MAX as u8 - 1;
        }
        names.push(name.into());
        names.len() as u8 - 1
    }

    /// The names of all bits given out so far, by bit.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.names.read().clone()
    }
}

impl Default for QcTests {
    fn default() -> Self {
        QcTests { names: RwLock::new(vec![Self::SYNTAX_NAME.into()]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bits_share_the_last_one() {
        let tests = QcTests::default();
        assert_eq!(tests.bit("syntax"), QcTests::SYNTAX);
        let bits: Vec<u8> = (0..40).map(|i| tests.bit(&format!("test{i}"))).collect();
        assert_eq!(bits[..14], (1..15).collect::<Vec<u8>>());
        assert!(bits[14..].iter().all(|bit| *bit == 15));
        assert_eq!(&*tests.names()[15], "other");
        assert_eq!(tests.bit("test3"), 4, "a name keeps its bit");
    }
}
