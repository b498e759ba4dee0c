// SPDX-License-Identifier: Apache-2.0
//! The mounts that CDI devices add; they override the request's.

use crate::container::order::paths;
use crate::error::{Error, Result};
use gorae_cdi as cdi;
use gorae_order::mounts::{Access, Attributes, Bind, Mount, Propagation, Source};

/// Options of the tmpfs itself, as opposed to options of the mount.
const TMPFS: [&str; 5] = ["size=", "mode=", "nr_inodes=", "uid=", "gid="];

/// Builds all of them; the last one at a path wins.
///
/// # Errors
/// `InvalidArgument` with the mount's destination.
pub(super) fn build(asked: &[cdi::Mount]) -> Result<Vec<Mount<'static>>> {
    let mut list: Vec<Mount<'static>> = Vec::with_capacity(asked.len());
    for mount in asked {
        let made = one(mount).map_err(|e| e.during(format!("CDI mount at {:?}", mount.container_path)))?;
        list.retain(|other| other.destination != made.destination);
        list.push(made);
    }
    Ok(list)
}

fn one(asked: &cdi::Mount) -> Result<Mount<'static>> {
    let destination = paths::clean("containerPath", &asked.container_path)?;
    if destination == "/" {
        return Err(Error::invalid("the root itself cannot be mounted over"));
    }
    let is_tmpfs = match asked.kind.as_str() {
        "" | "bind" | "none" => false,
        "tmpfs" => true,
        other => return Err(Error::invalid(format!("type {other:?} is neither a bind mount nor tmpfs"))),
    };
    let (mut attributes, mut bind, mut options) = (Attributes::default(), Bind::of(&asked.host_path), Vec::new());
    for option in &asked.options {
        match option.as_str() {
            // The stricter option wins, in any order.
            "ro" if attributes.access == Access::ReadWrite => attributes.access = Access::ReadOnly,
            "rro" => attributes.access = Access::ReadOnlyBelow,
            "nosuid" => attributes.nosuid = true,
            "nodev" => attributes.nodev = true,
            "noexec" => attributes.noexec = true,
            "bind" => bind.recursive = false,
            "rslave" | "slave" => bind.propagation = Propagation::Slave,
            "rshared" | "shared" => bind.propagation = Propagation::Shared,
            "ro" | "rw" | "suid" | "dev" | "exec" | "rbind" | "rprivate" | "private" | "relatime" | "defaults" => {}
            other if is_tmpfs && TMPFS.iter().any(|key| other.starts_with(key)) => options.push(other),
            other => return Err(Error::invalid(format!("option {other:?} is not supported"))),
        }
    }
    let source = if is_tmpfs { Source::Tmpfs { options: options.join(",").into() } } else { Source::Bind(bind) };
    Ok(Mount { destination, source, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_a_device_has_the_options_that_its_file_says() {
        let asked = |kind: &str, options: &[&str]| cdi::Mount {
            host_path: "/lib/a".into(),
            container_path: "/lib//a/".into(),
            kind: kind.into(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        };
        let bind = one(&asked("", &["ro", "nosuid", "nodev", "rbind", "rprivate"])).expect("usual");
        let attributes = Attributes { access: Access::ReadOnly, noexec: false, ..Attributes::QUIET };
        assert_eq!((bind.attributes, bind.destination.as_str()), (attributes, "/lib/a"));
        assert!(matches!(&bind.source, Source::Bind(bind) if bind.path == "/lib/a" && bind.recursive), "{bind:?}");
        let alone = one(&asked("", &["bind", "rslave"])).expect("usual");
        let slave = Propagation::Slave;
        assert!(
            matches!(&alone.source, Source::Bind(bind) if !bind.recursive && bind.propagation == slave),
            "{alone:?}"
        );
        let tmpfs = one(&asked("tmpfs", &["size=1m", "nosuid", "mode=755"])).expect("tmpfs");
        assert!(matches!(&tmpfs.source, Source::Tmpfs { options } if options == "size=1m,mode=755"), "{tmpfs:?}");
        for (kind, options) in [("ext4", &[][..]), ("", &["size=1m"]), ("", &["umask=0"]), ("tmpfs", &["x"])] {
            assert!(one(&asked(kind, options)).is_err(), "{kind} {options:?}");
        }
        let twice = build(&[asked("", &[]), asked("", &["ro"])]).expect("fine");
        assert!(twice.len() == 1 && twice[0].attributes.access == Access::ReadOnly, "{twice:?}");
    }
}
