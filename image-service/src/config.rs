// SPDX-License-Identifier: Apache-2.0
//! What the image service is told: where it keeps images, how it reaches registries, and its limits.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of one image store. [`Config::new`] has a working value for everything but the directory.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of the store; made when absent. One process at a time may use it.
    pub root: PathBuf,
    /// `hosts.toml` directories, first match wins; those that do not exist are skipped.
    pub hosts_dirs: Vec<PathBuf>,
    /// Registry hosts (`host` or `host:port`) reached over http. Loopback hosts always are.
    pub plain_http_hosts: Vec<String>,
    /// Layers of one pull that are fetched and unpacked at the same time.
    pub max_parallel_layers: usize,
    /// The same over all pulls together.
    pub max_parallel_layers_total: usize,
    /// Which image of a multi-platform index is taken.
    pub platform: Platform,
    /// A request that is not answered within this time is broken off and tried again. So is a download that brings
    /// less than `stall_floor_bytes` in so long a time of waiting for it; the unpacker's time does not count.
    pub stall_timeout: Duration,
    /// The least that `stall_timeout` must bring of a layer, manifest or config that has not ended.
    pub stall_floor_bytes: u64,
    /// Requests that fail for a passing reason are tried this often in all.
    pub attempts: u32,
    /// For so long after a host could not be reached it is asked last, and once.
    pub unreached_pause: Duration,
    /// A wait for a registry that is longer than this is said in the log and to who follows the pull.
    pub slow_after: Duration,
    /// The pause before the second attempt; it doubles from there.
    pub first_pause: Duration,
    /// Runtime handler names that `ImageSpec.runtime_handler` may carry besides the empty one.
    pub runtime_handlers: Vec<String>,
    /// Bounds on what a layer may unpack to.
    pub limits: Limits,
}

impl Config {
    /// The defaults for a store in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            hosts_dirs: Vec::new(),
            plain_http_hosts: Vec::new(),
            max_parallel_layers: usual_parallel_layers(),
            max_parallel_layers_total: 24,
            platform: Platform::host(),
            stall_timeout: Duration::from_secs(60),
            // 273 bytes a second: the worst line is faster, and a host that is slower gives nothing in any useful time.
            stall_floor_bytes: 16 << 10,
            attempts: 5,
            // Long enough for the objects of a pull and the pulls of a starting node, short enough for a mirror that
            // was only restarted.
            unreached_pause: Duration::from_secs(60),
            slow_after: Duration::from_secs(15),
            first_pause: Duration::from_millis(500),
            runtime_handlers: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Twice the processors, at most 8: while some layers are unpacked, others are on their way.
fn usual_parallel_layers() -> usize {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    (2 * processors).min(8)
}

/// An operating system and processor, in the OCI image spec's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, … (Go's names).
    pub architecture: String,
    /// `v7`, `v8`, …; empty when it does not matter.
    pub variant: String,
}

impl Platform {
    /// The platform this program was built for.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "x86" => ("386", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", ""),
            "loongarch64" => ("loong64", ""),
            other => (other, ""),
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: variant.to_owned() }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

/// Bounds on one layer, so that a small download cannot take the node down.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the uncompressed tar stream, and apart from it of the files in it (a sparse file is larger than its
    /// part of the stream).
    pub bytes: u64,
    /// Tar entries.
    pub entries: u64,
    /// Components of one path.
    pub depth: usize,
    /// What stays free of the file system.
    pub reserve: Reserve,
}

impl Limits {
    /// What `entries` bounds, in an error's words.
    pub(crate) const MEMBERS: &str = "members";
    /// What `bytes` bounds.
    pub(crate) const FILES: &str = "bytes in files";
    /// What `bytes` bounds as well.
    pub(crate) const STREAM: &str = "unpacked bytes";

    /// The same, but no more than a file system of this size can hold.
    pub fn within(self, bytes: u64, inodes: u64) -> Self {
        // Some file systems make files as they go and count none.
        let inodes = if inodes == 0 { u64::MAX } else { inodes };
        Self { bytes: self.bytes.min(bytes), entries: self.entries.min(inodes), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        // 256 GiB is above the largest model images seen; 16 million entries fill an ext4 of that size.
        // A file system that is smaller has its own size as limit.
        Self { bytes: 256 << 30, entries: 16_000_000, depth: 256, reserve: Reserve::default() }
    }
}

/// What a pull leaves free of the store's file system, for all others who write to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reserve {
    /// 5 % of it, but no more than 1 GiB and 65,536 files.
    #[default]
    Usual,
    /// So many percent of its bytes and of its files.
    Percent(u8),
    /// So many bytes, and of the files what is usual; none with 0.
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
        let wrong = || serde::de::Error::custom("allowed are a share as \"5%\" and a size as 1073741824 or \"1GiB\"");
        match Given::deserialize(deserializer).map_err(|_| wrong())? {
            Given::Number(bytes) => Ok(Self::Bytes(bytes)),
            Given::Text(text) => Self::parse(&text).ok_or_else(wrong),
        }
    }
}

impl Reserve {
    /// Reads `5%`, or a number with or without one of the units KiB, MiB, GiB and TiB.
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

    /// Bytes of a file system of `all` bytes.
    pub fn bytes(self, all: u64) -> u64 {
        match self {
            Self::Usual => (all / 20).min(1 << 30),
            Self::Percent(percent) => share(all, percent),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Files of a file system that can have `all`.
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
