// SPDX-License-Identifier: Apache-2.0
//! Bounds on the unpacked size of a layer, and the space that stays free on the file system.

/// Largest extended attribute in bytes, whatever the file system.
pub const MAX_ATTRIBUTE: usize = 64 << 10;

/// Bounds on one layer, so that a small download cannot take the node down.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the uncompressed tar stream, and separately of all files in it (a sparse file is larger than its part of the
    /// stream).
    pub bytes: u64,
    /// Number of tar entries.
    pub entries: u64,
    /// Number of components in a path.
    pub depth: usize,
    /// Space that stays free on the file system.
    pub reserve: Reserve,
}

impl Limits {
    /// What `entries` limits, for error messages.
    pub const MEMBERS: &str = "members";
    /// What `bytes` limits, for error messages.
    pub const FILES: &str = "bytes in files";
    /// The other thing that `bytes` limits, for error messages.
    pub const STREAM: &str = "unpacked bytes";

    /// The same limits, capped to what a file system of this size can hold.
    pub fn within(self, bytes: u64, inodes: u64) -> Self {
        // File systems that allocate inodes dynamically report 0.
        let inodes = if inodes == 0 { u64::MAX } else { inodes };
        Self { bytes: self.bytes.min(bytes), entries: self.entries.min(inodes), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        // 256 GiB is above the largest model images seen; 16 million entries fill an ext4 of that size.
        // On a smaller file system its own size is the limit.
        Self { bytes: 256 << 30, entries: 16_000_000, depth: 256, reserve: Reserve::default() }
    }
}

/// Space that a pull leaves free on the store's file system, for everything else that writes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reserve {
    /// 5 % of the file system, but at most 1 GiB and 65,536 files.
    #[default]
    Usual,
    /// This percentage of its bytes and its files.
    Percent(u8),
    /// This many bytes, and the usual share of files; 0 keeps neither free.
    Bytes(u64),
}

impl<'de> serde::Deserialize<'de> for Reserve {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(u64),
            Text(String),
        }
        let wrong =
            || serde::de::Error::custom("expected a share such as \"5%\" or a size such as 1073741824 or \"1GiB\"");
        match Given::deserialize(deserializer).map_err(|_| wrong())? {
            Given::Number(bytes) => Ok(Self::Bytes(bytes)),
            Given::Text(text) => Self::parse(&text).ok_or_else(wrong),
        }
    }
}

impl Reserve {
    /// Parses `5%`, or a number with or without one of the units KiB, MiB, GiB and TiB.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |digits: &str| {
            let digits = digits.trim_end_matches(' ');
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u64>().ok()).flatten()
        };
        if let Some(percent) = text.strip_suffix('%') {
            return number(percent).and_then(|n| u8::try_from(n).ok()).filter(|n| *n < 100).map(Self::Percent);
        }
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("", 0)];
        let (digits, shift) = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
        number(digits).and_then(|n| n.checked_mul(1 << shift)).map(Self::Bytes)
    }

    /// Bytes to keep free on a file system of `all` bytes.
    pub fn bytes(self, all: u64) -> u64 {
        match self {
            Self::Usual => (all / 20).min(1 << 30),
            Self::Percent(percent) => share(all, percent),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Files to keep free on a file system that can have `all` of them.
    pub fn inodes(self, all: u64) -> u64 {
        match self {
            Self::Usual => (all / 20).min(1 << 16),
            Self::Percent(percent) => share(all, percent),
            Self::Bytes(0) => 0,
            Self::Bytes(_) => Self::Usual.inodes(all),
        }
    }
}

fn share(all: u64, percent: u8) -> u64 {
    (all / 100).saturating_mul(u64::from(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_a_share_or_a_size() {
        for (text, reserve) in [
            ("5%", Some(Reserve::Percent(5))),
            ("0", Some(Reserve::Bytes(0))),
            ("1073741824", Some(Reserve::Bytes(1 << 30))),
            ("512MiB", Some(Reserve::Bytes(512 << 20))),
            ("2 GiB", Some(Reserve::Bytes(2 << 30))),
            ("", None),
            ("%", None),
            ("100%", None),
            ("-1", None),
            ("+1", None),
            ("5 percent", None),
            ("1GB", None),
            ("MiB", None),
            ("99999999999999TiB", None),
        ] {
            assert_eq!(Reserve::parse(text), reserve, "{text:?}");
        }
    }

    #[test]
    fn the_usual_reserve_is_a_twentieth_and_at_most_a_gibibyte() {
        let usual = Reserve::default();
        assert_eq!((usual.bytes(10 << 30), usual.bytes(1 << 40)), (512 << 20, 1 << 30));
        assert_eq!((usual.inodes(1000), usual.inodes(1 << 30), usual.inodes(0)), (50, 1 << 16, 0));
        assert_eq!((Reserve::Percent(10).bytes(1000), Reserve::Percent(10).inodes(1000)), (100, 100));
        assert_eq!((Reserve::Bytes(0).inodes(1000), Reserve::Bytes(7).inodes(1000)), (0, 50));
    }

    #[test]
    fn a_layer_may_take_no_more_than_its_file_system_has() {
        let usual = Limits::default();
        let small = usual.within(20 << 30, 1_000_000);
        assert_eq!((small.bytes, small.entries, small.depth), (20 << 30, 1_000_000, usual.depth));
        let large = usual.within(u64::MAX, 0);
        assert_eq!((large.bytes, large.entries), (usual.bytes, usual.entries));
    }
}
