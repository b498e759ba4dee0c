// SPDX-License-Identifier: Apache-2.0
//! A record on disk: one text line with the kind, version, length and checksum, then the body.
//!
//! ```text
//! gorae container 1 4711 9bd366ae\n
//! <4711 bytes>
//! ```
//!
//! The line tells a person (and `file`) what the file is. The checksum turns a torn or bit-flipped record into an error
//! about that object, instead of wrong data about it. A record whose checksum matches is exactly what was written: if
//! it still cannot be read, another program wrote it.

use std::path::{Path, PathBuf};

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckedError {
    /// The header line is missing, or it is not ours.
    NoHeader,
    /// The record is of another kind.
    Kind {
        /// The kind in its header.
        found: String,
    },
    /// The record was written by a newer Gorae.
    Version {
        /// The version in its header.
        found: u32,
        /// The newest that the caller can read.
        known: u32,
    },
    /// The body is shorter or longer than the header says: a torn write.
    Length {
        /// The length that the header states.
        expected: usize,
        /// The bytes after the header.
        found: usize,
    },
    /// The body does not match its checksum: bits have flipped.
    Checksum,
}

impl std::fmt::Display for CheckedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoHeader => write!(f, "not a record: no header line"),
            Self::Kind { found } => write!(f, "a record of another kind ({found})"),
            Self::Version { found, known } => {
                write!(f, "record version {found} is newer than this program, which reads up to version {known}")
            }
            Self::Length { expected, found } => write!(f, "record is torn: {found} of {expected} bytes"),
            Self::Checksum => write!(f, "record is damaged: checksum does not match"),
        }
    }
}

impl std::error::Error for CheckedError {}

/// A record whose checksum matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked<'a> {
    /// The version in its header.
    pub version: u32,
    /// The bytes that the program wrote.
    pub body: &'a [u8],
}

/// A record that is intact but that this program cannot read, because another one wrote it. It still describes things
/// that are in use, so a program that finds one stops and discards nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The file.
    pub path: PathBuf,
    /// The kind of record.
    pub kind: &'static str,
    /// The version in its header.
    pub found: u32,
    /// The newest that this program can read.
    pub known: u32,
    /// The part that cannot be read, and why.
    pub why: String,
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, kind, found, known, why } = self;
        write!(
            f,
            "{}: this record is intact (kind {kind}, version {found}; this program reads up to version {known}), but {why}. \
             Another program wrote it: run that one again, or move the file away to abandon what it describes",
            path.display()
        )
    }
}

impl std::error::Error for Foreign {}

/// Why a record on disk cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// It is not what was written: the object that it describes is lost.
    Damaged(CheckedError),
    /// Another program wrote it: nothing may be changed.
    Foreign(Foreign),
}

/// Reads a record from the bytes of its file; `known` is the newest version that `parse` can read.
///
/// # Errors
/// See [`Unusable`].
pub fn read<T, E: std::fmt::Display>(
    path: &Path,
    kind: &'static str,
    known: u32,
    bytes: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, Unusable> {
    let foreign = |found, why| Unusable::Foreign(Foreign { path: path.to_owned(), kind, found, known, why });
    let Checked { version, body } = decode(kind, known, bytes).map_err(|error| match error {
        CheckedError::Version { found, .. } => foreign(found, "its version is newer".to_owned()),
        other => Unusable::Damaged(other),
    })?;
    parse(body).map_err(|error| foreign(version, format!("its content cannot be read: {error}")))
}

/// Longest header line that [`decode`] reads.
const MAX_HEADER: usize = 96;

/// Puts the header line before `body`.
///
/// - Shapes: `kind` is one lower-case word; raise `version` when old programs could misread the body.
pub fn encode(kind: &str, version: u32, body: &[u8]) -> Vec<u8> {
    debug_assert!(kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    let mut out = format!("gorae {kind} {version} {} {:08x}\n", body.len(), crc32fast::hash(body)).into_bytes();
    out.extend_from_slice(body);
    out
}

/// Checks the header and returns the body with its version.
///
/// # Errors
/// See [`CheckedError`]; `version` is the newest version that the caller can read.
pub fn decode<'a>(kind: &str, version: u32, record: &'a [u8]) -> Result<Checked<'a>, CheckedError> {
    let end = record.iter().take(MAX_HEADER).position(|&b| b == b'\n').ok_or(CheckedError::NoHeader)?;
    let line = std::str::from_utf8(&record[..end]).map_err(|_| CheckedError::NoHeader)?;
    let fields: Vec<&str> = line.split(' ').collect();
    let ["gorae", found_kind, found_version, len, sum] = fields[..] else { return Err(CheckedError::NoHeader) };
    let found_version: u32 = found_version.parse().map_err(|_| CheckedError::NoHeader)?;
    let expected: usize = len.parse().map_err(|_| CheckedError::NoHeader)?;
    let sum = u32::from_str_radix(sum, 16).map_err(|_| CheckedError::NoHeader)?;
    if found_kind != kind {
        return Err(CheckedError::Kind { found: found_kind.to_owned() });
    }
    if found_version > version {
        return Err(CheckedError::Version { found: found_version, known: version });
    }
    let body = &record[end + 1..];
    if body.len() != expected {
        return Err(CheckedError::Length { expected, found: body.len() });
    }
    if crc32fast::hash(body) != sum {
        return Err(CheckedError::Checksum);
    }
    Ok(Checked { version: found_version, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_whole() {
        let record = encode("pod", 3, b"{\"a\":1}\n");
        let whole = Checked { version: 3, body: b"{\"a\":1}\n" };
        assert_eq!(decode("pod", 3, &record), Ok(whole));
        assert_eq!(decode("pod", 4, &record), Ok(whole));
    }

    #[test]
    fn every_kind_of_damage_has_its_name() {
        let record = encode("pod", 3, b"body");
        assert_eq!(decode("container", 3, &record), Err(CheckedError::Kind { found: "pod".into() }));
        assert_eq!(decode("pod", 2, &record), Err(CheckedError::Version { found: 3, known: 2 }));
        assert_eq!(decode("pod", 3, &record[..record.len() - 1]), Err(CheckedError::Length { expected: 4, found: 3 }));
        let mut flipped = record.clone();
        *flipped.last_mut().expect("not empty") ^= 1;
        assert_eq!(decode("pod", 3, &flipped), Err(CheckedError::Checksum));
        for junk in [&b""[..], b"\n", b"gorae pod\n", b"gorae pod x 1 00000000\n", &[0xff; 200]] {
            assert_eq!(decode("pod", 3, junk), Err(CheckedError::NoHeader));
        }
    }

    #[test]
    fn a_whole_record_that_cannot_be_read_is_another_programs_and_a_damaged_one_is_not() {
        let read = |bytes: &[u8]| {
            read(Path::new("/r"), "pod", 3, bytes, |body| {
                std::str::from_utf8(body)?.parse::<u32>().map_err(Box::<dyn std::error::Error>::from)
            })
        };
        assert_eq!(read(&encode("pod", 2, b"7")), Ok(7));
        for (version, body, why) in [(2, "seven", "invalid digit"), (9, "7", "newer")] {
            let Err(Unusable::Foreign(foreign)) = read(&encode("pod", version, body.as_bytes())) else {
                panic!("{body}")
            };
            let text = foreign.to_string();
            for part in
                ["/r: ", "kind pod", &format!("version {version};"), "up to version 3", why, "run that one again"]
            {
                assert!(text.contains(part), "{text}");
            }
        }
        let mut torn = encode("pod", 3, b"seven");
        torn.pop();
        assert!(matches!(read(&torn), Err(Unusable::Damaged(CheckedError::Length { .. }))));
    }

    #[test]
    fn no_single_bit_flip_passes() {
        let record = encode("state", 1, b"what is true now");
        for bit in 0..record.len() * 8 {
            let mut broken = record.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            // Case flips of hex digits in the checksum leave its value the same, and the body is still right.
            if let Ok(whole) = decode("state", 1, &broken) {
                assert_eq!(whole.body, b"what is true now");
            }
        }
    }
}
