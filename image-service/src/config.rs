// SPDX-License-Identifier: Apache-2.0
//! Settings of the image service: where it keeps images, how it reaches registries, and its limits.

use gorae_image_formats::hosts::Settings;
use gorae_image_formats::platform::Platform;
use gorae_unpack::Limits;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of one image store. [`Config::new`] has defaults for everything except the directory.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of the store; created if absent. Only one process may use it at a time.
    pub root: PathBuf,
    /// Directories with `hosts.toml` files; the first match is used, and missing directories are skipped.
    pub hosts_dirs: Vec<PathBuf>,
    /// Registry hosts (`host` or `host:port`) to reach over http. Loopback hosts always are.
    pub plain_http_hosts: Vec<String>,
    /// Layers of one pull that are fetched and unpacked concurrently.
    pub max_parallel_layers: usize,
    /// The same limit for all pulls together.
    pub max_parallel_layers_total: usize,
    /// The platform to select from a multi-platform index.
    pub platform: Platform,
    /// A request without a response within this time is aborted and retried. So is a download that delivers fewer than
    /// `stall_floor_bytes` in this much time spent waiting for it; time in which the unpacker is busy does not count.
    pub stall_timeout: Duration,
    /// The number of bytes of an unfinished layer, manifest or config that must arrive within each `stall_timeout`.
    pub stall_floor_bytes: u64,
    /// Total number of attempts for a request that fails for a transient reason.
    pub attempts: u32,
    /// For this long after a host was unreachable, it is tried last and only once.
    pub unreached_pause: Duration,
    /// A wait for a registry that exceeds this is logged, and reported to clients that follow the pull.
    pub slow_after: Duration,
    /// The pause before the second attempt; it doubles from there.
    pub first_pause: Duration,
    /// Runtime handler names that `ImageSpec.runtime_handler` may contain, besides the empty one.
    pub runtime_handlers: Vec<String>,
    /// Bounds on the unpacked size of a layer.
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
            // 273 bytes per second. Even the worst line is faster, and a slower host would never finish in useful time.
            stall_floor_bytes: 16 << 10,
            attempts: 5,
            // Long enough to cover all objects of a pull and all pulls of a booting node; short enough for a mirror that
            // was only restarted.
            unreached_pause: Duration::from_secs(60),
            slow_after: Duration::from_secs(15),
            first_pause: Duration::from_millis(500),
            runtime_handlers: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// Where to look up the hosts of registries.
    pub fn hosts(&self) -> Settings<'_> {
        Settings { directories: &self.hosts_dirs, plain_http: &self.plain_http_hosts }
    }
}

/// Twice the number of processors, at most 8: some layers are downloaded while others are unpacked.
fn usual_parallel_layers() -> usize {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    (2 * processors).min(8)
}
