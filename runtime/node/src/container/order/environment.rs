// SPDX-License-Identifier: Apache-2.0
//! The variables of a container: the defaults, overridden by the image's, overridden by the request's.

use crate::error::{Error, Result};
use gorae_proto::cri;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// PATH of a container whose image and request set none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Largest number of environment entries; the kernel's own limit in bytes applies later, at execve.
const MAX_ENV: usize = 65_536;

/// Merges the default variables, the image's and the request's.
///
/// # Errors
/// `InvalidArgument` for too many, and for invalid ones in the request. No error text shows a value.
pub fn build(config: &cri::ContainerConfig, image: &[String], hostname: &str) -> Result<Vec<Vec<u8>>> {
    if config.envs.len() + image.len() > MAX_ENV {
        return Err(Error::invalid(format!("more than {MAX_ENV} environment entries")));
    }
    let mut env: Vec<Vec<u8>> = Vec::with_capacity(image.len() + config.envs.len() + 3);
    let mut place = HashMap::new();
    let mut set = |entry: Vec<u8>| {
        let end = entry.iter().position(|&b| b == b'=').unwrap_or(entry.len());
        match place.entry(entry[..end].to_vec()) {
            Entry::Occupied(at) => env[*at.get()] = entry,
            Entry::Vacant(at) => {
                at.insert(env.len());
                env.push(entry);
            }
        }
    };
    set(DEFAULT_PATH.as_bytes().to_vec());
    if !hostname.is_empty() {
        set(format!("HOSTNAME={hostname}").into_bytes());
    }
    if config.tty {
        set(b"TERM=xterm".to_vec());
    }
    for entry in image.iter().filter(|e| e.contains('=') && !e.starts_with('=') && !e.contains('\0')) {
        set(entry.clone().into_bytes());
    }
    for entry in &config.envs {
        if entry.key.is_empty() || entry.key.contains(['=', '\0']) || entry.value.contains(&0) {
            // The text after a "=" is a value, and may be a secret.
            let name = entry.key.split(['=', '\0']).next().unwrap_or_default();
            let name = &name[..name.floor_char_boundary(100)];
            return Err(Error::invalid(format!("envs: {name:?} has an empty key, or = in the key, or a NUL")));
        }
        let mut bytes = entry.key.clone().into_bytes();
        bytes.push(b'=');
        bytes.extend_from_slice(&entry.value);
        set(bytes);
    }
    Ok(env)
}

/// Sets `NAME=VALUE` entries, replacing those with the same name.
pub fn change(env: &mut Vec<Vec<u8>>, changes: &[String]) {
    for change in changes {
        let name = change.split_inclusive('=').next().unwrap_or_default();
        match env.iter_mut().find(|old| old.starts_with(name.as_bytes())) {
            Some(old) => *old = change.clone().into_bytes(),
            None => env.push(change.clone().into_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::KeyValue;

    #[test]
    fn the_request_overrides_the_image_by_key_and_values_are_bytes() {
        let config = cri::ContainerConfig {
            envs: vec![
                KeyValue { key: "B".into(), value: vec![0xff, b'='] },
                KeyValue { key: "C".into(), value: b"new".to_vec() },
            ],
            ..Default::default()
        };
        let env = build(&config, &["A=image".into(), "B=image".into()], "host").expect("valid");
        assert_eq!(env.iter().filter(|e| e.starts_with(b"B=")).count(), 1);
        assert!(env.contains(&b"A=image".to_vec()) && env.contains(&b"B=\xff=".to_vec()));
        assert!(env.contains(&b"HOSTNAME=host".to_vec()) && env.contains(&DEFAULT_PATH.as_bytes().to_vec()));
        for key in ["", "A=B", "A\0"] {
            let bad = KeyValue { key: key.into(), value: Vec::new() };
            let config = cri::ContainerConfig { envs: vec![bad], ..Default::default() };
            assert!(build(&config, &[], "").is_err(), "{key:?}");
        }
    }
}
