//! Which batches of a segment are sent or done: one bit each.

/// A growing set of small numbers.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    count: usize,
}

impl Bits {
    /// Adds a number; whether it was new.
    pub(super) fn set(&mut self, index: usize) -> bool {
        let word = index / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (index % 64);
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += usize::from(new);
        new
    }

    /// Takes a number out; whether it was in.
    pub(super) fn unset(&mut self, index: usize) -> bool {
        let was = self.has(index);
        if was {
            self.words[index / 64] &= !(1 << (index % 64));
            self.count -= 1;
        }
        was
    }

    /// Whether a number is in.
    pub(super) fn has(&self, index: usize) -> bool {
        self.words
            .get(index / 64)
            .is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    /// How many numbers are in.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Takes every number out.
    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_in_and_out_once() {
        let mut bits = Bits::default();
        assert!(bits.set(0) && bits.set(200) && !bits.set(200));
        assert!(bits.has(200) && !bits.has(199) && !bits.has(5000));
        assert_eq!(bits.count(), 2);
        assert!(bits.unset(200) && !bits.unset(200) && !bits.unset(9999));
        assert_eq!(bits.count(), 1);
        bits.clear();
        assert!(!bits.has(0));
    }
}
