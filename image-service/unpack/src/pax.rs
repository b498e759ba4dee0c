// SPDX-License-Identifier: Apache-2.0
//! PAX extended headers: `LENGTH KEY=VALUE\n` records that override fields of the next member. Pure, strict, bounded.

use crate::error::Error;
use crate::field::decimal;
use crate::member::Time;
use std::collections::BTreeMap;

/// Largest extended header or GNU long name, in bytes: names have at most 4096 and extended attributes 64 KiB.
pub const MAX: u64 = 1 << 20;

/// Most extended attributes of a member: the kernel allows 64 KiB for all their names together.
const MAX_XATTRS: usize = 1000;

/// Prefix of the keys of extended attributes.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The records that matter for unpacking; `None` where the member's own header applies.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub atime: Option<Time>,
    pub mtime: Option<Time>,
    /// Sorted by name, without the prefix `SCHILY.xattr.`.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: Sparse,
}

/// The records of GNU sparse files, without the prefix `GNU.sparse.`; empty if absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    pub major: Vec<u8>,
    pub minor: Vec<u8>,
    pub name: Vec<u8>,
    pub size: Vec<u8>,
    pub realsize: Vec<u8>,
    pub numblocks: Vec<u8>,
    /// Alternating offsets and lengths, separated by commas. Form 0.0 has one record per number; they are joined.
    pub map: Vec<u8>,
}

impl Sparse {
    /// Whether the records describe a sparse file in a known form.
    pub fn is_sparse(&self) -> bool {
        match (self.major.as_slice(), self.minor.as_slice()) {
            (b"0", b"0" | b"1") | (b"1", b"0") => true,
            (b"", b"") => !self.map.is_empty(),
            _ => false,
        }
    }

    /// Whether the map precedes the data instead of being in the records.
    pub fn is_map_in_data(&self) -> bool {
        self.major == b"1"
    }
}

/// Parses the records of one extended header; if a key is repeated, the last record applies.
///
/// # Errors
/// [`Error::Malformed`] for a record that does not end where its length says, and for anything that Go rejects.
pub fn parse(mut data: &[u8]) -> Result<Overrides, Error> {
    let (mut records, mut numbers) = (BTreeMap::new(), Vec::new());
    while !data.is_empty() {
        let (key, value, rest) = record(data).ok_or_else(|| Error::Malformed("bad pax record".to_owned()))?;
        match key {
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let is_turn = (numbers.len() % 2 == 0) == (key == b"GNU.sparse.offset");
                if !is_turn || value.contains(&b',') {
                    return Err(Error::Malformed("bad pax sparse map".to_owned()));
                }
                numbers.push(value);
            }
            _ => drop(records.insert(key, value)),
        }
        data = rest;
    }
    let mut overrides = Overrides::default();
    // An empty value cancels the record, except that an attribute may be empty.
    for (key, value) in records.into_iter().filter(|(key, value)| !value.is_empty() || key.starts_with(XATTR)) {
        set(&mut overrides, key, value)?;
    }
    if !numbers.is_empty() {
        overrides.sparse.map = numbers.join(&b',');
    }
    Ok(overrides)
}

fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().position(|&b| b == b' ')?;
    let length: usize = decimal(&data[..space])?.try_into().ok()?;
    let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&b| b == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    let is_name = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
    if key.is_empty() || key.contains(&0) || (is_name && value.contains(&0)) {
        return None;
    }
    Some((key, value, &data[length..]))
}

fn set(overrides: &mut Overrides, key: &[u8], value: &[u8]) -> Result<(), Error> {
    let bad = || Error::Malformed(format!("bad pax value for {}", String::from_utf8_lossy(key)));
    let sparse = &mut overrides.sparse;
    match key {
        b"path" => overrides.path = Some(value.to_vec()),
        b"linkpath" => overrides.link = Some(value.to_vec()),
        b"size" => overrides.size = Some(decimal(value).ok_or_else(bad)?),
        b"uid" => overrides.uid = Some(decimal(value).ok_or_else(bad)?),
        b"gid" => overrides.gid = Some(decimal(value).ok_or_else(bad)?),
        b"atime" => overrides.atime = Some(time(value).ok_or_else(bad)?),
        b"mtime" => overrides.mtime = Some(time(value).ok_or_else(bad)?),
        b"ctime" => drop(time(value).ok_or_else(bad)?),
        b"GNU.sparse.major" => sparse.major = value.to_vec(),
        b"GNU.sparse.minor" => sparse.minor = value.to_vec(),
        b"GNU.sparse.name" => sparse.name = value.to_vec(),
        b"GNU.sparse.size" => sparse.size = value.to_vec(),
        b"GNU.sparse.realsize" => sparse.realsize = value.to_vec(),
        b"GNU.sparse.numblocks" => sparse.numblocks = value.to_vec(),
        b"GNU.sparse.map" => sparse.map = value.to_vec(),
        _ => {
            let Some(name) = key.strip_prefix(XATTR) else { return Ok(()) };
            if overrides.xattrs.len() >= MAX_XATTRS {
                return Err(Error::Malformed(format!("more than {MAX_XATTRS} extended attributes")));
            }
            overrides.xattrs.push((name.to_vec(), value.to_vec()));
        }
    }
    Ok(())
}

/// Parses `[-]SECONDS[.FRACTION]`; digits after the ninth are ignored.
fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|&b| b == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    let seconds = i64::try_from(decimal(whole)?).ok()?;
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
            b"+6 a=b\n",
            b"5 =b\n",
            b"8 a\0b=c\n",
            b"10 path=\0\n",
            b"12 uname=a\0\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        for good in [&b"6 a=b\n"[..], b"0000000000000000000027 a=b\n", b"7 a=\0=\n", b"6 a==\n"] {
            assert!(parse(good).is_ok(), "{good:?}");
        }
        assert!(parse(&record_of("size", "-1")).is_err());
    }

    #[test]
    fn of_two_records_the_later_counts_and_an_empty_one_takes_the_first_away() {
        let data = [record_of("size", "x"), record_of("size", "5"), record_of("path", "a"), record_of("path", "")];
        let found = parse(&data.concat()).unwrap();
        assert_eq!((found.size, found.path), (Some(5), None));
        let found = parse(&record_of("SCHILY.xattr.user.empty", "")).unwrap();
        assert_eq!(found.xattrs, [(b"user.empty".to_vec(), Vec::new())]);
        for key in ["atime", "mtime", "ctime", "uid"] {
            assert!(parse(&record_of(key, "12x")).is_err(), "{key}");
        }
    }

    #[test]
    fn numbers_of_a_sparse_map_come_in_turns() {
        let records = |keys: &[(&str, &str)]| {
            let data: Vec<Vec<u8>> = keys.iter().map(|(k, v)| record_of(&format!("GNU.sparse.{k}"), v)).collect();
            parse(&data.concat())
        };
        let found = records(&[("offset", "2"), ("numbytes", "3"), ("offset", "9"), ("numbytes", "1")]).unwrap();
        assert_eq!(found.sparse.map, b"2,3,9,1");
        assert!(found.sparse.is_sparse());
        for bad in [&[("numbytes", "3")][..], &[("offset", "2"), ("offset", "3")], &[("offset", "1,2")]] {
            assert!(records(bad).is_err(), "{bad:?}");
        }
        assert!(!records(&[("major", "2"), ("minor", "0"), ("map", "1,2")]).unwrap().sparse.is_sparse());
        assert!(!records(&[("name", "x"), ("realsize", "5")]).unwrap().sparse.is_sparse());
    }
}
