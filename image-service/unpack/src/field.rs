// SPDX-License-Identifier: Apache-2.0
//! Decodes the fields of headers and records, numbers and text, the way Go does. Pure.

/// Reads plain decimal digits; no sign, no spaces.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads a number in octal digits, or in base 256 if the first bit is set; an empty field is 0.
///
/// `None` if it is not a number, or does not fit into 63 bits and a sign.
pub fn numeric(field: &[u8]) -> Option<i64> {
    let Some((&first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) else {
        return octal(field);
    };
    // Two's complement: a negative number is summed up from the inverted bits.
    let inverted = if first & 0x40 != 0 { 0xff } else { 0 };
    let mut number = u64::from((first ^ inverted) & 0x7f);
    for &byte in rest {
        if number >> 56 != 0 {
            return None;
        }
        number = number << 8 | u64::from(byte ^ inverted);
    }
    let number = i64::try_from(number).ok()?;
    Some(if inverted == 0 { number } else { !number })
}

/// Reads octal digits between spaces and zero bytes; no sign.
pub fn octal(field: &[u8]) -> Option<i64> {
    let is_padding = |b: &u8| matches!(b, b' ' | 0);
    let Some(start) = field.iter().position(|b| !is_padding(b)) else { return Some(0) };
    let end = field.iter().rposition(|b| !is_padding(b))?;
    text(&field[start..=end]).iter().try_fold(0i64, |number, &digit| match digit {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// The text up to the first zero byte.
pub fn text(field: &[u8]) -> &[u8] {
    field.split(|&b| b == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (field, number) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0 644", Some(0o644)),
            (b"644\x0099\0", Some(0o644)),
            (b"644\0junk", Some(0o644)),
            (b"\0\0\0\0", Some(0)),
            (b"    ", Some(0)),
            (b"", Some(0)),
            (b"+0000644", None),
            (b"-0000644", None),
            (b"0000648", None),
            (b"0o644", None),
            (b"6 4", None),
            (b"\x80\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", Some(i64::MIN)),
            (b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(numeric(field), number, "{field:?}");
        }
    }
}
