//! Sets of ASCII characters, made when compiling: whether a byte is in one is a look into a table.

/// Some ASCII characters.
pub struct ByteSet([bool; 256]);

impl ByteSet {
    /// Letters and digits, and these.
    pub const fn alphanumeric_and(others: &[u8]) -> ByteSet {
        let mut has = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            has[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            has[others[at] as usize] = true;
            at += 1;
        }
        ByteSet(has)
    }

    #[inline]
    pub const fn contains(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }

    /// Whether all bytes of a text are in it.
    #[inline]
    pub fn covers(&self, text: &[u8]) -> bool {
        text.iter().all(|byte| self.contains(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_given_and_no_more() {
        static SET: ByteSet = ByteSet::alphanumeric_and(b"-/");
        for byte in 0..=255_u8 {
            let expected = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'/';
            assert_eq!(SET.contains(byte), expected, "{byte}");
        }
        assert!(SET.covers(b"a-Z/9") && SET.covers(b"") && !SET.covers(b"a b"));
    }
}
