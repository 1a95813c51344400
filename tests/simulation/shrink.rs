//! Finds what a failing run needs to fail.
//!
//! Promises: what is left still fails, and fails no more without any one of its parts. Does not: try all combinations.

/// The part of these things with which something still fails, cut down by halves first and then one by one.
pub(crate) fn shrink<T: Clone>(things: &[T], mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut left = things.to_vec();
    let mut size = left.len().div_ceil(2).max(1);
    loop {
        let mut start = 0;
        let mut is_smaller = false;
        while start < left.len() {
            let mut fewer = left.clone();
            fewer.drain(start..(start + size).min(left.len()));
            if fails(&fewer) {
                left = fewer;
                is_smaller = true;
            } else {
                start += size;
            }
        }
        if size == 1 && !is_smaller {
            return left;
        }
        size = if size > 1 { size.div_ceil(2) } else { 1 };
    }
}

/// What fails because of two of its parts is shrunk to those two.
pub(crate) fn shrinks_to_what_matters() {
    let things: Vec<u32> = (0..40).collect();
    let mut tried = 0;
    let left = shrink(&things, |things| {
        tried += 1;
        things.contains(&3) && things.contains(&31)
    });
    assert_eq!(left, [3, 31]);
    assert!(tried < 100, "{tried}");
    assert_eq!(shrink(&things, |_| true), [0_u32; 0]);
    assert_eq!(shrink(&[7], |things| !things.is_empty()), [7]);
}
