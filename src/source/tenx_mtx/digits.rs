//! What the words of a line are made of.

/// Parses digits; returns the number and the offset of its end. More than 19 digits may overflow,
/// in which case the number is meaningless.
#[inline(always)]
pub(super) fn digits(text: &[u8], start: usize) -> (u64, usize) {
    let (mut value, mut at) = (0u64, start);
    while let Some(byte) = text.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

#[inline(always)]
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
