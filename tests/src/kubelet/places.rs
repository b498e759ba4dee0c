// SPDX-License-Identifier: Apache-2.0
//! Paths of the machine that are constants of kubelet's source, covered by files of the test while a kubelet runs.

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags};
use std::path::{Path, PathBuf};

/// Where device plugins register, and where kubelet links the logs of containers.
const DIRECTORIES: [&str; 2] = ["/var/lib/kubelet", "/var/log/containers"];

/// The kernel settings that kubelet changes at its start, for the whole machine, unless they have these values.
const SETTINGS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// A path that shows a file or directory of the test; dropping it uncovers the path.
#[derive(Debug)]
pub struct Covered {
    path: PathBuf,
    made: bool,
}

impl Covered {
    fn by(path: &str, shown: &Path) -> Result<Covered> {
        let path = PathBuf::from(path);
        let made = !path.exists();
        if made {
            std::fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        }
        let covered = Covered { path, made };
        nix::mount::mount(Some(shown), &covered.path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .with_context(|| format!("cover {} by {}", covered.path.display(), shown.display()))?;
        Ok(covered)
    }
}

impl Drop for Covered {
    fn drop(&mut self) {
        // What fails here shows in the leak check.
        let _ = nix::mount::umount2(&self.path, MntFlags::MNT_DETACH);
        if self.made {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// Covers the directories with fresh ones below `home`.
pub fn directories(home: &Path) -> Result<Vec<Covered>> {
    let cover = |path: &&str| {
        let own = home.join(path.trim_start_matches('/').replace('/', "-"));
        std::fs::create_dir_all(&own)?;
        Covered::by(path, &own)
    };
    DIRECTORIES.iter().map(cover).collect()
}

/// Covers the kernel settings with files that have the wanted values. Only for kubelet's start: a covered /proc keeps
/// pods with user namespaces from mounting theirs.
pub fn kernel_settings(home: &Path) -> Result<Vec<Covered>> {
    let cover = |(name, value): &(&str, &str)| {
        let own = home.join(name.replace('/', "-"));
        std::fs::write(&own, format!("{value}\n"))?;
        Covered::by(&format!("/proc/sys/{name}"), &own)
    };
    SETTINGS.iter().map(cover).collect()
}
