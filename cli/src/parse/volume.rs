// SPDX-License-Identifier: Apache-2.0
//! `-v HOST:CONTAINER[:OPTIONS]`: a host path shown inside the container.

use anyhow::{Context, Result, bail, ensure};
use gorae_proto::cri::{Mount, MountPropagation};
use std::path::Path;

/// Reads one `-v`. Host paths such as `./x` and `../x` are relative to `directory`, where the command was typed.
///
/// A host path need not exist: the daemon makes a directory there, unless its configuration says otherwise.
///
/// # Errors
/// When the text has another form. A bare word would be a named volume; Gorae has none, so it is refused.
pub fn volume(text: &str, directory: &Path) -> Result<Mount> {
    read(text, directory)
        .with_context(|| format!("bad volume {text:?}: the form is HOST_PATH:CONTAINER_PATH[:ro|rw,z,rshared|rslave]"))
}

fn read(text: &str, directory: &Path) -> Result<Mount> {
    ensure!(!text.contains('\0'), "a path contains a NUL byte");
    let mut fields = text.split(':');
    let host = fields.next().unwrap_or_default();
    let container = fields.next().context("the container path is missing")?;
    let options = fields.next();
    ensure!(fields.next().is_none(), "too many colons");
    ensure!(container.starts_with('/'), "the container path {container:?} is not absolute");
    ensure!(!container.trim_end_matches('/').is_empty(), "the container path cannot be the root");
    ensure!(!container.split('/').any(|part| part == ".."), "the container path contains \"..\"");
    let mut mount =
        Mount { host_path: host_path(host, directory)?, container_path: container.to_owned(), ..<_>::default() };
    apply(&mut mount, options)?;
    Ok(mount)
}

fn host_path(host: &str, directory: &Path) -> Result<String> {
    if host.starts_with('/') {
        return Ok(host.to_owned());
    }
    ensure!(!host.is_empty(), "the host path is missing");
    let relative = host == "." || host == ".." || host.starts_with("./") || host.starts_with("../");
    ensure!(relative, "named volumes are not supported; write a path, as /PATH or ./PATH");
    let path = directory.join(host);
    path.to_str().map(str::to_owned).context("the current directory's name is not UTF-8")
}

fn apply(mount: &mut Mount, options: Option<&str>) -> Result<()> {
    let Some(options) = options else { return Ok(()) };
    let mut access = None;
    for option in options.split(',') {
        match option {
            "ro" | "rw" => {
                ensure!(access.replace(option).is_none(), "only one of ro and rw is possible, and only once");
                mount.readonly = option == "ro";
            }
            "z" | "Z" => mount.selinux_relabel = true,
            "private" | "rprivate" => mount.propagation = MountPropagation::PropagationPrivate.into(),
            "slave" | "rslave" => mount.propagation = MountPropagation::PropagationHostToContainer.into(),
            "shared" | "rshared" => mount.propagation = MountPropagation::PropagationBidirectional.into(),
            _ => bail!("unknown option {option:?}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Mount> {
        volume(text, Path::new("/home/me"))
    }

    #[test]
    fn each_form_of_a_volume_is_understood() {
        let rows = [
            ("/data:/srv", "/data", "/srv", false, 0),
            ("/data:/srv:ro", "/data", "/srv", true, 0),
            ("/data:/srv:rw,rslave", "/data", "/srv", false, 1),
            ("./site:/srv:rshared,ro", "/home/me/./site", "/srv", true, 2),
            (".:/srv", "/home/me/.", "/srv", false, 0),
        ];
        for (text, host, container, readonly, propagation) in rows {
            let mount = parsed(text).expect(text);
            assert_eq!((&*mount.host_path, &*mount.container_path), (host, container), "{text}");
            assert_eq!((mount.readonly, mount.propagation), (readonly, propagation), "{text}");
        }
        assert!(parsed("/a:/b:Z").expect("label").selinux_relabel);
    }

    #[test]
    fn an_inexact_volume_is_refused() {
        for text in [
            "",
            "/a",
            ":/b",
            "/a:",
            "/a:b",
            "data:/b",
            "/a:/b:",
            "/a:/b:xx",
            "/a:/b:ro,rw",
            "/a:/b:ro:z",
            "/a:/",
            "/a://",
            "/a:/b/../c",
            "/a\0:/b",
        ] {
            assert!(parsed(text).is_err(), "{text:?} was taken");
        }
    }
}
