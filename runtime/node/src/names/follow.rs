// SPDX-License-Identifier: Apache-2.0
//! Follows the host's resolver settings while there is a pod to tell them for.
//!
//! The file is read every few seconds instead of being watched: it is often a link to a file of another program, which
//! replaces that one, or the directory around it.

use super::host::HostResolver;
use super::shared::Shared;
use crate::disposable;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How often the file is read.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long the names wait for the file. It may be on a file system that does not respond.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is read of the file at most.
const MAX_FILE: u64 = 1 << 20;

/// Follows the file until it is aborted.
pub(super) async fn follow(shared: &Shared) {
    let mut wanted = shared.wanted();
    while wanted.wait_for(|wanted| !wanted.pods.is_empty()).await.is_ok() {
        look(shared).await;
        sleep(LOOK_EVERY).await;
    }
}

async fn look(shared: &Shared) {
    let path = shared.resolv_conf.to_string_lossy().into_owned();
    let text = disposable::probe_to_the_end("resolv.conf of the host", path, |path| read(Path::new(&path)));
    tokio::pin!(text);
    let text = match timeout(PATIENCE, &mut text).await {
        Ok(text) => text,
        Err(_) => {
            if !shared.knows_host() {
                tracing::warn!(file = %shared.resolv_conf.display(), "cannot be read yet; names outside are not resolved");
                shared.set_host(HostResolver::default());
            }
            text.await
        }
    };
    match text {
        Ok(text) => note(shared, HostResolver::parse(text.as_bytes())),
        Err(error) if shared.knows_host() => tracing::debug!(%error, "the last settings stay"),
        Err(error) => {
            tracing::warn!(%error, "names outside are not resolved in user networks");
            shared.set_host(HostResolver::default());
        }
    }
}

fn note(shared: &Shared, host: HostResolver) {
    let (servers, has_none) = (format!("{:?}", host.servers), host.servers.is_empty());
    if !shared.set_host(host) {
        return;
    }
    if has_none {
        tracing::warn!(
            file = %shared.resolv_conf.display(),
            "the host has no name server: pods in user networks resolve only each other's names"
        );
    } else {
        tracing::info!(servers, "the host's name servers, which pods in user networks ask");
    }
}

/// The file's text; nothing for a file that does not exist.
fn read(path: &Path) -> Result<String> {
    let failed = |e: std::io::Error| Error::io("read", path, &e);
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(failed(e)),
        Ok(file) if !file.is_file() => return Err(failed(std::io::ErrorKind::InvalidInput.into())),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_is_empty_and_a_directory_is_an_error() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("resolv.conf");
        assert_eq!(read(&path).expect("missing"), "");
        std::fs::write(&path, b"nameserver 10.0.0.1\n# \xff\n").expect("written");
        assert!(read(&path).expect("there").starts_with("nameserver 10.0.0.1\n"));
        assert!(read(dir.path()).is_err());
    }
}
