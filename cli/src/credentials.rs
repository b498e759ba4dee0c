// SPDX-License-Identifier: Apache-2.0
//! Registry credentials from Docker's `config.json`, so that an earlier `docker login` keeps working.
//!
//! They are sent to the daemon with one pull, and never printed.

use crate::environment::Environment;
use anyhow::{Context, Result};
use gorae_proto::cri::AuthConfig;
use serde::Deserialize;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::PathBuf;

/// The key under which Docker keeps the credentials of its own registry.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

#[derive(Deserialize, Default)]
struct File {
    #[serde(default)]
    auths: HashMap<String, Entry>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default, rename_all = "lowercase")]
struct Entry {
    auth: String,
    identitytoken: String,
    registrytoken: String,
}

/// The credentials for the registry of an image; `None` when the file has none, or there is no file.
///
/// # Errors
/// When the file exists and cannot be read or parsed. The error never quotes the file.
pub fn find(environment: &Environment, image: &str) -> Result<Option<AuthConfig>> {
    let Some(path) = file(environment) else { return Ok(None) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let file: File = serde_json::from_str(&text).map_err(|error| {
        anyhow::anyhow!(
            "read {}: line {}, column {} is not in the format of Docker's config.json",
            path.display(),
            error.line(),
            error.column()
        )
    })?;
    Ok(pick(&file, image))
}

fn file(environment: &Environment) -> Option<PathBuf> {
    let directory = environment.variable("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(environment.variable("HOME")?).join(".docker"));
    Some(directory.or_else(home)?.join("config.json"))
}

fn pick(file: &File, image: &str) -> Option<AuthConfig> {
    let host = registry(image);
    let keys =
        [host.to_owned(), format!("https://{host}"), format!("https://{host}/v1/"), format!("https://{host}/v2/")];
    let hub = (host == "docker.io").then(|| DOCKER_HUB.to_owned());
    let entry = keys.into_iter().chain(hub).find_map(|key| file.auths.get(&key))?.clone();
    let empty = entry.auth.is_empty() && entry.identitytoken.is_empty() && entry.registrytoken.is_empty();
    (!empty).then(|| AuthConfig {
        auth: entry.auth,
        identity_token: entry.identitytoken,
        registry_token: entry.registrytoken,
        server_address: host.to_owned(),
        ..Default::default()
    })
}

/// The registry in the name of an image: the first part when it looks like a host, else Docker's own.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_found_in_the_name() {
        let rows = [
            ("busybox", "docker.io"),
            ("library/busybox", "docker.io"),
            ("docker.io/library/busybox", "docker.io"),
            ("localhost/a", "localhost"),
            ("localhost:5000/a:1", "localhost:5000"),
            ("ghcr.io/org/app@sha256:aa", "ghcr.io"),
        ];
        for (image, host) in rows {
            assert_eq!(registry(image), host);
        }
    }

    #[test]
    fn an_entry_is_taken_only_for_its_own_registry() {
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "aHViOng="}, "r.example": {"auth": "cjp4"}, "empty.example": {}},
            "credsStore": "x"}"#;
        let file: File = serde_json::from_str(text).expect("Docker's form");
        assert_eq!(pick(&file, "busybox").expect("hub").auth, "aHViOng=");
        assert_eq!(pick(&file, "r.example/a").expect("named").auth, "cjp4");
        assert!(pick(&file, "empty.example/a").is_none());
        assert!(pick(&file, "other.example/a").is_none());
        assert!(pick(&file, "evil.r.example/a").is_none());
    }
}
