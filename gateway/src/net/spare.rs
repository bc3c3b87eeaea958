//! Buffers for what is being sent. A connection has one while there is something to send and none while it is idle, so
//! that many idle connections hold no memory for it and busy ones keep using the few that the processor's cache has.

use std::cell::RefCell;

/// How many are kept in a thread.
const MOST: usize = 64;
/// Bytes; longer ones were made by something unusual.
const LARGEST: usize = 16 << 10;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, the one that was given back last.
#[inline]
pub(super) fn take() -> Vec<u8> {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Keeps a buffer for the next one to need it; what is in it is of no more use.
#[inline]
pub(super) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() > LARGEST {
        return;
    }
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.len() < MOST {
            buffer.clear();
            buffers.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_last_is_taken_next_and_large_ones_are_not_kept() {
        give(Vec::with_capacity(LARGEST + 1));
        assert_eq!(take().capacity(), 0);
        let mut buffer = Vec::with_capacity(100);
        buffer.push(1);
        give(Vec::with_capacity(200));
        give(buffer);
        assert_eq!((take(), take().capacity()), (Vec::new(), 200));
        for _ in 0..=MOST {
            give(Vec::with_capacity(1));
        }
        assert_eq!(BUFFERS.with_borrow(Vec::len), MOST);
    }
}
