// SPDX-License-Identifier: Apache-2.0
//! Finds the directory of a registry, with a hosts.toml, with certificates in Docker's layout, or with neither.

use crate::hosts::error::Error;
use crate::hosts::file::parse;
use crate::hosts::host::{Host, Settings};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The hosts to try for a registry, in order, the registry itself last.
///
/// - Shapes: never empty; `registry` is as in image names (`docker.io`, `127.0.0.1:5000`).
///
/// # Errors
/// [`Error`]. A directory that does not exist is not an error.
pub fn hosts(settings: Settings<'_>, registry: &str) -> Result<Vec<Host>, Error> {
    for root in settings.directories {
        for name in directory_names(registry) {
            let directory = root.join(name);
            let path = directory.join("hosts.toml");
            match fs::read_to_string(&path) {
                Ok(text) if text.trim().is_empty() => {
                    return Ok(vec![with_certificates(settings, registry, &directory)?]);
                }
                Ok(text) => return parse(&path, &text, settings, registry),
                Err(e) if e.kind() == io::ErrorKind::NotFound && !directory.is_dir() => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Ok(vec![with_certificates(settings, registry, &directory)?]);
                }
                Err(source) => return Err(Error::Read { path, source }),
            }
        }
    }
    Ok(vec![Host::of_registry(settings, registry)?])
}

/// The directory names to try. `host_port_` is for file systems and tools that cannot handle colons.
fn directory_names(registry: &str) -> Vec<String> {
    let with_port = registry.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let portable = with_port.map(|(host, port)| format!("{host}_{port}_"));
    portable.into_iter().chain([registry.to_owned(), "_default".to_owned()]).collect()
}

/// A directory without a hosts.toml may have certificates in Docker's layout: `*.crt` are authorities, `*.cert` with
/// `*.key` is the client's.
fn with_certificates(settings: Settings<'_>, registry: &str, directory: &Path) -> Result<Host, Error> {
    let unreadable = |source| Error::Read { path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).map_err(unreadable)?.collect::<Result<Vec<_>, _>>();
    let mut files: Vec<PathBuf> = entries.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    let with = |ending: &str| {
        files.iter().filter(move |file| file.extension().is_some_and(|own| own == ending)).cloned().collect::<Vec<_>>()
    };
    let mut host = Host::of_registry(settings, registry)?;
    host.tls.ca = with("crt");
    let client = with("cert").into_iter().next();
    host.tls.client = client.map(|file| {
        let key = file.with_extension("key");
        (file, files.contains(&key).then_some(key))
    });
    Ok(host)
}
