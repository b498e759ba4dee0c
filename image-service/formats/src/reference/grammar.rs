// SPDX-License-Identifier: Apache-2.0
//! The parts of a name and the rules for each of them.

use crate::reference::error::{Invalid, MAX_TAG};
use std::net::Ipv6Addr;

/// The registry of names that do not include one.
pub const DEFAULT_HOST: &str = "docker.io";

/// Splits `name:tag`; a colon before the last slash belongs to a port.
pub fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rfind(':') {
        Some(colon) if !text[colon..].contains('/') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    }
}

/// Splits off the host. The first component is a host if it cannot be a path component of the default registry.
pub fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

/// Checks a host with its port; returns the default one if there is none.
///
/// # Errors
/// [`Invalid::Host`].
pub fn check_host(host: Option<&str>) -> Result<String, Invalid> {
    let Some(host) = host else { return Ok(DEFAULT_HOST.to_owned()) };
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(|| Invalid::Host(shown(host)))?;
            address.parse::<Ipv6Addr>().map_err(|_| Invalid::Host(shown(host)))?;
            (None, after.strip_prefix(':').or(if after.is_empty() { None } else { Some("x") }))
        }
        None => match host.split_once(':') {
            Some((name, port)) => (Some(name), Some(port)),
            None => (Some(host), None),
        },
    };
    let port_ok = port.is_none_or(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok_and(|p| p > 0));
    if !port_ok || !name.is_none_or(is_host_name) {
        return Err(Invalid::Host(shown(host)));
    }
    Ok(if host == "index.docker.io" { DEFAULT_HOST.to_owned() } else { host.to_owned() })
}

fn is_host_name(name: &str) -> bool {
    name.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// Checks a repository path. On the default host its first component may be missing.
///
/// # Errors
/// [`Invalid::Path`], [`Invalid::LooksLikeId`].
pub fn check_path(host: &str, path: &str) -> Result<String, Invalid> {
    if host == DEFAULT_HOST && path.len() == 64 && path.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Invalid::LooksLikeId);
    }
    if !path.split('/').all(is_path_component) {
        return Err(Invalid::Path(shown(path)));
    }
    Ok(if host == DEFAULT_HOST && !path.contains('/') { format!("library/{path}") } else { path.to_owned() })
}

/// Checks for groups of `[a-z0-9]+`, joined by one '.', one or two '_', or any number of '-'.
fn is_path_component(component: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    if !alnum(first) || !alnum(last) {
        return false;
    }
    bytes.split(|&b| alnum(b)).all(|separator| match separator {
        [] | b"." | b"_" | b"__" => true,
        other => other.iter().all(|&b| b == b'-'),
    })
}

/// Checks for letters, digits, `_`, `.` and `-`, starting with one of the first three.
pub fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = tag.as_bytes();
    bytes.len() <= MAX_TAG
        && bytes.first().is_some_and(|&b| word(b))
        && bytes.iter().all(|&b| word(b) || b == b'.' || b == b'-')
}

/// Shortens an invalid part for an error message.
pub fn shown(part: &str) -> String {
    part.chars().take(80).collect()
}
