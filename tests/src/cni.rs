// SPDX-License-Identifier: Apache-2.0
//! CNI on the node of a test: plugins that are installed, configurations, and what plugins keep of pods.
//!
//! `tests/run` gives every run directories of its own in these places, which are empty at first.

use crate::place;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where configurations are.
pub const CONFIGURATIONS: &str = "/etc/cni/net.d";
/// Where plugins are.
pub const PLUGINS: &str = "/opt/cni/bin";
/// Where plugins and libcni keep files.
const KEPT: &str = "/var/lib/cni";
/// Where network namespaces are pinned.
const PINS: &str = "/run/netns";
/// The tables that iptables makes when a plugin calls it; its chains that belong to no pod are never removed.
const TABLES: [&str; 8] =
    ["ip nat", "ip filter", "ip mangle", "ip raw", "ip6 nat", "ip6 filter", "ip6 mangle", "ip6 raw"];

/// Installed plugins and configurations; dropping it removes both, and the bridges and rules that plugins make once.
#[derive(Debug)]
pub struct Cni {
    links: Vec<String>,
}

impl Cni {
    /// Installs plugins of `tests/tools/build.sh`.
    ///
    /// Panics when one cannot be had.
    #[must_use]
    pub fn install(plugins: &[&str]) -> Cni {
        place::assert_own_namespaces();
        let cni = Cni { links: links() };
        for directory in [CONFIGURATIONS, PLUGINS] {
            std::fs::create_dir_all(directory).expect("the directories of CNI can be made");
        }
        plugins.iter().for_each(|name| cni.install_as(&place::tool(name), name));
        cni
    }

    /// Installs a program as the plugin of a type, by a rename as packages do.
    pub fn install_as(&self, program: &Path, kind: &str) {
        let (new, path) = (plugin(".new"), plugin(kind));
        std::fs::copy(program, &new).expect("the plugin can be copied");
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o755)).expect("it can be made executable");
        std::fs::rename(new, path).expect("it can be renamed");
    }

    /// Installs a shell script as the plugin of a type.
    pub fn install_script(&self, kind: &str, script: &str) {
        let new = plugin(".script");
        std::fs::write(&new, format!("#!/bin/sh\n{script}")).expect("the script can be written");
        self.install_as(&new, kind);
        std::fs::remove_file(new).expect("the script can be removed");
    }

    /// Writes a configuration, by a rename.
    pub fn configure(&self, file: &str, text: &str) {
        let path = configuration(file);
        let parent = path.parent().expect("it is in a directory");
        std::fs::create_dir_all(parent).expect("its directory can be made");
        let new = parent.join(".new");
        std::fs::write(&new, text).expect("the configuration can be written");
        std::fs::rename(new, path).expect("it can be renamed");
    }

    /// Removes a configuration.
    pub fn unconfigure(&self, file: &str) {
        std::fs::remove_file(configuration(file)).expect("the configuration is there");
    }
}

impl Drop for Cni {
    /// What fails here shows in the leak check.
    fn drop(&mut self) {
        for directory in ["/etc/cni", "/opt/cni", KEPT] {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            entries.for_each(|entry| drop(std::fs::remove_dir_all(entry.path())));
        }
        for link in links().iter().filter(|link| !self.links.contains(link)) {
            quietly("ip", &["link", "delete", link]);
        }
        for table in TABLES {
            let (family, name) = table.split_once(' ').expect("a family and a name");
            quietly("nft", &["delete", "table", family, name]);
        }
    }
}

fn plugin(kind: &str) -> PathBuf {
    Path::new(PLUGINS).join(kind)
}

fn configuration(file: &str) -> PathBuf {
    Path::new(CONFIGURATIONS).join(file)
}

/// The files of pinned network namespaces.
#[must_use]
pub fn pins() -> Vec<String> {
    files(Path::new(PINS))
}

/// What plugins keep below their directory, without what belongs to a network and not to a pod. libcni's cache would be
/// among it: nothing of ours may be there.
#[must_use]
pub fn kept() -> Vec<String> {
    let of_network = |file: &String| file.ends_with("/lock") || file.contains("/last_reserved_ip.");
    files(Path::new(KEPT)).into_iter().filter(|file| !of_network(file)).collect()
}

/// The rules and chains of all tables, one line each.
#[must_use]
pub fn rules() -> Vec<String> {
    let out = Command::new("nft").args(["list", "ruleset"]).output().expect("nft runs");
    String::from_utf8_lossy(&out.stdout).lines().map(|line| line.trim().to_owned()).collect()
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            _ => found.push(entry.path().display().to_string()),
        }
    }
    found
}

/// The names of this network namespace's interfaces. /sys may be that of another one.
pub(crate) fn links() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/net/dev").expect("the interfaces can be listed");
    text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned()).collect()
}

/// Runs a command whose failure changes nothing.
fn quietly(program: &str, words: &[&str]) {
    let _ = Command::new(program).args(words).output();
}
