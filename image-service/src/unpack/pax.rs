// SPDX-License-Identifier: Apache-2.0
//! PAX extended headers: `LENGTH KEY=VALUE\n` records that overrule fields of the next member. Pure, strict, bounded.

use super::Error;
use super::archive::Time;

/// Largest extended header, and largest GNU long name: names are at most 4096 bytes and extended attributes 64 KiB.
pub const MAX: u64 = 1 << 20;

/// Most extended attributes of one member: all their names together are at most 64 KiB for the kernel.
const MAX_XATTRS: usize = 1000;

/// The records that matter for unpacking; `None` where the member's own header counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<Time>,
    /// Names without the `SCHILY.xattr.` in front.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// GNU sparse records, `GNU.sparse.` taken off the key, in order.
    pub sparse: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Parses the records of one extended header.
///
/// - Errors: [`Error::Malformed`] on any record that does not end where its length says.
pub fn parse(mut data: &[u8]) -> Result<Overrides, Error> {
    let mut overrides = Overrides::default();
    while !data.is_empty() {
        let (key, value, rest) = record(data).ok_or_else(|| Error::Malformed("bad pax record".to_owned()))?;
        set(&mut overrides, key, value)?;
        data = rest;
    }
    Ok(overrides)
}

fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(12).position(|&b| b == b' ')?;
    let length: usize = number(&data[..space])?.try_into().ok()?;
    let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&b| b == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &data[length..]))
}

fn set(overrides: &mut Overrides, key: &[u8], value: &[u8]) -> Result<(), Error> {
    let bad = || Error::Malformed(format!("bad pax value for {}", String::from_utf8_lossy(key)));
    // An empty value means "as if the record were not there".
    let present = !value.is_empty();
    match key {
        b"path" => overrides.path = present.then(|| value.to_vec()),
        b"linkpath" => overrides.link = present.then(|| value.to_vec()),
        b"size" => overrides.size = if present { Some(number(value).ok_or_else(bad)?) } else { None },
        b"uid" => overrides.uid = if present { Some(number(value).ok_or_else(bad)?) } else { None },
        b"gid" => overrides.gid = if present { Some(number(value).ok_or_else(bad)?) } else { None },
        b"mtime" => overrides.mtime = if present { Some(time(value).ok_or_else(bad)?) } else { None },
        _ => {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                overrides.xattrs.retain(|(known, _)| known != name);
                if overrides.xattrs.len() >= MAX_XATTRS {
                    return Err(Error::Malformed(format!("more than {MAX_XATTRS} extended attributes")));
                }
                overrides.xattrs.push((name.to_vec(), value.to_vec()));
            } else if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
                overrides.sparse.push((name.to_vec(), value.to_vec()));
            }
        }
    }
    Ok(())
}

/// Plain decimal digits; no sign, no space.
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `[-]SECONDS[.FRACTION]`; digits after the ninth are cut off.
fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    let seconds = i64::try_from(number(whole)?).ok()?;
    let mut nanos = 0;
    for place in 0..9 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        nanos = nanos * 10 + i64::from(digit.is_ascii_digit().then_some(digit - b'0')?);
    }
    Some(match (negative, nanos) {
        (false, _) => Time { seconds, nanos },
        (true, 0) => Time { seconds: -seconds, nanos: 0 },
        (true, _) => Time { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_of(key: &str, value: &str) -> Vec<u8> {
        let body = format!(" {key}={value}\n");
        let mut length = body.len() + 1;
        while length.to_string().len() + body.len() != length {
            length = length.to_string().len() + body.len();
        }
        format!("{length}{body}").into_bytes()
    }

    #[test]
    fn records_overrule_fields() {
        let mut data = record_of("path", "a/b=c");
        data.extend(record_of("size", "8589934592"));
        data.extend(record_of("mtime", "1700000000.123456789"));
        data.extend(record_of("SCHILY.xattr.user.x", "1\n2"));
        data.extend(record_of("comment", "whatever"));
        let found = parse(&data).unwrap();
        assert_eq!(found.path.as_deref(), Some(&b"a/b=c"[..]));
        assert_eq!(found.size, Some(8_589_934_592));
        assert_eq!(found.mtime, Some(Time { seconds: 1_700_000_000, nanos: 123_456_789 }));
        assert_eq!(found.xattrs, [(b"user.x".to_vec(), b"1\n2".to_vec())]);
    }

    #[test]
    fn attributes_are_counted_by_their_names() {
        let records = |names: usize| -> Vec<u8> {
            (0..5000).flat_map(|n| record_of(&format!("SCHILY.xattr.user.{}", n % names), "")).collect()
        };
        assert_eq!(parse(&records(MAX_XATTRS)).unwrap().xattrs.len(), MAX_XATTRS);
        assert!(parse(&records(MAX_XATTRS + 1)).is_err());
    }

    #[test]
    fn times_before_1970_keep_nanoseconds_positive() {
        assert_eq!(time(b"-1.25"), Some(Time { seconds: -2, nanos: 750_000_000 }));
        assert_eq!(time(b"-1"), Some(Time { seconds: -1, nanos: 0 }));
        assert_eq!(time(b"3.1234567891"), Some(Time { seconds: 3, nanos: 123_456_789 }));
        for bad in [&b""[..], b"-", b"1.x", b"+1", b"99999999999999999999", b"1 "] {
            assert_eq!(time(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn records_with_wrong_lengths_are_refused() {
        for bad in [
            &b"5 a=b\n"[..],
            b"99 a=b\n",
            b"6 ab\n\n",
            b" a=b\n",
            b"-6 a=b\n",
            b"6 a=bc",
            b"0 ",
            b"3 \n",
            b"18446744073709551616 a=b\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse(b"6 a=b\n").is_ok());
        assert!(parse(&record_of("size", "-1")).is_err());
    }
}
