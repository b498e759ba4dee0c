// SPDX-License-Identifier: Apache-2.0
//! A record on disk: one text line with kind, version, length and checksum, then the body.
//!
//! ```text
//! gorae container 1 4711 9bd366ae\n
//! <4711 bytes>
//! ```
//!
//! The line lets a person (and `file`) see what the file is; the checksum turns a torn or flipped record into an
//! error about that object instead of wrong data about it.

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckedError {
    /// There is no header line, or it is not ours.
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
    },
    /// The body is shorter or longer than the header says: a torn write.
    Length {
        /// Bytes that the header says.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The body does not match its checksum: flipped bits.
    Checksum,
}

impl std::fmt::Display for CheckedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoHeader => write!(f, "not a record: no header line"),
            Self::Kind { found } => write!(f, "a record of another kind ({found})"),
            Self::Version { found } => write!(f, "record version {found} is newer than this program"),
            Self::Length { expected, found } => write!(f, "record is torn: {found} of {expected} bytes"),
            Self::Checksum => write!(f, "record is damaged: checksum does not match"),
        }
    }
}

impl std::error::Error for CheckedError {}

/// Longest header line that [`decode`] looks at.
const MAX_HEADER: usize = 96;

/// Puts the header line before `body`.
///
/// - Shapes: `kind` is one lower-case word; `version` grows when old programs could misread the body.
pub fn encode(kind: &str, version: u32, body: &[u8]) -> Vec<u8> {
    debug_assert!(kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    let mut out = format!("gorae {kind} {version} {} {:08x}\n", body.len(), crc32fast::hash(body)).into_bytes();
    out.extend_from_slice(body);
    out
}

/// Checks the header and returns the body.
///
/// # Errors
/// See [`CheckedError`]; `version` is the newest version that the caller can read.
pub fn decode<'a>(kind: &str, version: u32, record: &'a [u8]) -> Result<&'a [u8], CheckedError> {
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
        return Err(CheckedError::Version { found: found_version });
    }
    let body = &record[end + 1..];
    if body.len() != expected {
        return Err(CheckedError::Length { expected, found: body.len() });
    }
    if crc32fast::hash(body) != sum {
        return Err(CheckedError::Checksum);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_whole() {
        let record = encode("pod", 3, b"{\"a\":1}\n");
        assert_eq!(decode("pod", 3, &record), Ok(&b"{\"a\":1}\n"[..]));
        assert_eq!(decode("pod", 4, &record), Ok(&b"{\"a\":1}\n"[..]));
    }

    #[test]
    fn every_kind_of_damage_has_its_name() {
        let record = encode("pod", 3, b"body");
        assert_eq!(decode("container", 3, &record), Err(CheckedError::Kind { found: "pod".into() }));
        assert_eq!(decode("pod", 2, &record), Err(CheckedError::Version { found: 3 }));
        assert_eq!(decode("pod", 3, &record[..record.len() - 1]), Err(CheckedError::Length { expected: 4, found: 3 }));
        let mut flipped = record.clone();
        *flipped.last_mut().expect("not empty") ^= 1;
        assert_eq!(decode("pod", 3, &flipped), Err(CheckedError::Checksum));
        for junk in [&b""[..], b"\n", b"gorae pod\n", b"gorae pod x 1 00000000\n", &[0xff; 200]] {
            assert_eq!(decode("pod", 3, junk), Err(CheckedError::NoHeader));
        }
    }

    #[test]
    fn no_single_bit_flip_passes() {
        let record = encode("state", 1, b"what is true now");
        for bit in 0..record.len() * 8 {
            let mut broken = record.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            // Case flips of hex digits in the checksum leave its value the same: the body is still right.
            if let Ok(body) = decode("state", 1, &broken) {
                assert_eq!(body, b"what is true now");
            }
        }
    }
}
