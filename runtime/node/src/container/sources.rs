// SPDX-License-Identifier: Apache-2.0
//! The host paths of a request's mounts, checked when the container is created.
//!
//! The CRI's text wants an error for a path that does not exist. containerd and CRI-O make a directory instead, and
//! manifests rely on that: kube-proxy mounts /lib/modules, which a minimal host lacks. So that is the default.

use crate::error::{Error, Result};
use crate::settings::MissingHostPath;
use gorae_proto::cri;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Checks that each source exists, and makes missing ones if `missing` says so.
///
/// - Blocks: on file systems that are not ours; for ever if one hangs.
///
/// # Errors
/// `NotFound` for a path that is missing and must not be made, and for a dangling link; the kernel's for one that cannot be
/// looked at or made. Each error names the mount's destination.
pub fn check(config: &cri::ContainerConfig, missing: MissingHostPath) -> Result<()> {
    let sources = config.mounts.iter().filter(|m| m.image.is_none());
    sources.into_iter().try_for_each(|mount| {
        let checked = one(Path::new(&mount.host_path), missing);
        checked.map_err(|e| e.during(format!("mount at {:?}", mount.container_path)))
    })
}

fn one(source: &Path, missing: MissingHostPath) -> Result<()> {
    match std::fs::metadata(source) {
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io("mount source", source, &e)),
        Ok(_) => return Ok(()),
    }
    let path = source.display();
    if source.is_symlink() {
        return Err(Error::not_found(format!(
            "mount source {path}: it is a symbolic link, and its target does not exist"
        )));
    }
    if missing == MissingHostPath::Refuse {
        let why = "it does not exist, and mounts.missing_host_path = \"refuse\" forbids making it";
        return Err(Error::not_found(format!("mount source {path}: {why}")));
    }
    let made = DirBuilder::new().recursive(true).mode(0o755).create(source);
    made.map_err(|e| Error::io("make directory", source, &e).during(format!("mount source {path} does not exist")))?;
    tracing::info!(?path, "made a directory for a mount whose host path did not exist");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn config(source: &Path) -> cri::ContainerConfig {
        let host_path = source.display().to_string();
        let mount = cri::Mount { host_path, container_path: "/data".into(), ..Default::default() };
        cri::ContainerConfig { mounts: vec![mount], ..Default::default() }
    }

    #[test]
    fn what_is_missing_is_made_with_its_parents_or_refused() {
        let home = tempfile::tempdir().expect("directory");
        let source = home.path().join("lib/modules");
        let error = check(&config(&source), MissingHostPath::Refuse).expect_err("missing");
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().contains("/data") && error.to_string().contains("lib/modules"), "{error}");
        assert!(!home.path().join("lib").exists());
        for _ in 0..2 {
            check(&config(&source), MissingHostPath::Create).expect("made, or there");
        }
        assert_eq!(std::fs::metadata(&source).expect("made").permissions().mode() & 0o7777, 0o755);
    }

    #[test]
    fn a_link_to_nothing_and_a_path_through_a_file_make_nothing() {
        let home = tempfile::tempdir().expect("directory");
        std::fs::write(home.path().join("file"), "").expect("written");
        symlink(home.path().join("nowhere"), home.path().join("link")).expect("linked");
        for (path, words) in
            [("link", "is a symbolic link"), ("link/below", "exists"), ("file/below", "ot a directory")]
        {
            let error = check(&config(&home.path().join(path)), MissingHostPath::Create).expect_err(path);
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(!home.path().join("nowhere").exists());
    }
}
