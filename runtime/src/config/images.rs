// SPDX-License-Identifier: Apache-2.0
//! `[images]`: where images come from and how they are pulled.

use super::paths::all_absolute;
use super::raw::RawImages;
use gorae_image_service::Reserve;
use std::path::PathBuf;

/// Default of `images.hosts_dirs`.
const DEFAULT_HOSTS_DIR: &str = "/etc/gorae/hosts.d";
/// Most layers at the same time: each takes a thread and a few megabytes.
const MOST_LAYERS: usize = 64;
/// Longest name of a host with its port.
const LONGEST_HOST: usize = 255;

/// The checked section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Directories in containerd's `hosts.toml` layout, absolute; the first match wins.
    pub hosts_dirs: Vec<PathBuf>,
    /// Hosts (`name` or `name:port`) that are contacted without TLS, in addition to loopback addresses.
    pub plain_http: Vec<String>,
    /// Layers fetched and unpacked at the same time, 1 to 64; `None` leaves it to the image service.
    pub parallel_layers: Option<usize>,
    /// How much space a pull leaves free on the store's file system.
    pub reserve: Reserve,
}

/// Checks the section.
///
/// # Errors
/// A sentence that begins with the key.
pub fn check(raw: RawImages) -> Result<Images, String> {
    if raw.parallel_layers.is_some_and(|layers| !(1..=MOST_LAYERS).contains(&layers)) {
        return Err(format!("images.parallel_layers: must be between 1 and {MOST_LAYERS}"));
    }
    if let Some(bad) = raw.plain_http.iter().find(|host| !is_host(host)) {
        return Err(format!("images.plain_http: {bad:?} is not a host of the form \"name\" or \"name:port\""));
    }
    let hosts_dirs = match raw.hosts_dirs {
        Some(list) => all_absolute("images.hosts_dirs", list)?,
        None => vec![DEFAULT_HOSTS_DIR.into()],
    };
    let reserve = raw.reserve.unwrap_or_default();
    Ok(Images { hosts_dirs, plain_http: raw.plain_http, parallel_layers: raw.parallel_layers, reserve })
}

/// Whether a word can be the host in an image's name. Any other word would never match, and nothing would report it.
fn is_host(word: &str) -> bool {
    let (name, port) = match word.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (word, None),
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let fits = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    };
    fits && word.len() <= LONGEST_HOST && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for good in ["registry", "registry.internal:5000", "10.0.0.1", "10.0.0.1:80", "[fd00::1]", "[fd00::1]:5000"] {
            assert!(is_host(good), "{good}");
        }
        for bad in
            ["", ":5000", "http://registry", "registry/", "registry:", "registry:0", "registry:70000", "a b", "[x]"]
        {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
