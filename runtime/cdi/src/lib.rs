// SPDX-License-Identifier: Apache-2.0
//! CDI: resolves device names such as `vendor.com/class=device` against the spec files of the node.
//!
//! A spec file describes one kind (`vendor/class`), its devices, and the edits that each device makes to a container:
//! variables, nodes, mounts, hooks, groups. Files are read again for each container that requests a device, so a change
//! needs no restart. A broken file affects only its own devices. A name is resolved when the container is created, and
//! the result is kept in its record.
//!
//! Source: the Container Device Interface specification, 1.1.0.

#![forbid(unsafe_code)]

mod edits;
mod error;
mod files;
mod name;
mod spec;

pub use edits::Edits;
pub use error::{Error, Kind, Result};
pub use name::{DeviceName, of_request};
pub use spec::{ContainerEdits, Device, DeviceNode, Hook, Mount, Spec};

use std::path::{Path, PathBuf};

/// Directories that are searched for spec files; a later directory overrides an earlier one.
pub const DEFAULT_DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// Looks up the devices and merges their edits, in the order of the names. The edits of a spec file as a whole are
/// added once, before those of its first device. It reads files, so call it on a disposable thread.
///
/// # Errors
/// [`Kind::Unknown`] for a device that no file describes; [`Kind::Conflict`] when two files of one directory do;
/// [`Kind::Conflict`] or [`Kind::Unsupported`] for edits that cannot be made on this node.
pub fn resolve(directories: &[PathBuf], names: &[DeviceName]) -> Result<Edits> {
    let mut edits = Edits::default();
    if names.is_empty() {
        return Ok(edits);
    }
    let found = files::read(directories);
    let mut begun: Vec<&Path> = Vec::new();
    for name in names {
        let (path, spec) = find(&found, directories, name)?;
        if !begun.contains(&path) {
            begun.push(path);
            edits.add(&spec.container_edits);
        }
        let device = spec.devices.iter().find(|d| d.name == name.device);
        edits.add(
            &device.ok_or_else(|| Error::new(Kind::Conflict, format!("CDI device {name} was lost")))?.container_edits,
        );
    }
    edits.check_node()?;
    Ok(edits)
}

/// Finds the one file that describes the device, in the last directory that has one.
fn find<'a>(found: &'a files::Found, directories: &[PathBuf], name: &DeviceName) -> Result<(&'a Path, &'a Spec)> {
    let has = |spec: &Spec| spec.kind == name.kind() && spec.devices.iter().any(|d| d.name == name.device);
    let all = || found.specs.iter().filter(|file| has(&file.spec));
    let Some(last) = all().map(|file| file.priority).max() else { return Err(unknown(found, directories, name)) };
    let mut winners = all().filter(|file| file.priority == last);
    match (winners.next(), winners.next()) {
        (Some(one), None) => Ok((&one.path, &one.spec)),
        (Some(one), Some(other)) => Err(Error::new(
            Kind::Conflict,
            format!(
                "CDI device {name} is in two files of the same directory, {} and {}; remove it from one",
                one.path.display(),
                other.path.display()
            ),
        )),
        (None, _) => Err(unknown(found, directories, name)),
    }
}

fn unknown(found: &files::Found, directories: &[PathBuf], name: &DeviceName) -> Error {
    let list =
        |paths: &mut dyn Iterator<Item = &Path>| paths.map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    let dirs = list(&mut directories.iter().map(PathBuf::as_path));
    let mut why = format!("CDI device {name} is in no spec file of {dirs}");
    if !found.refused.is_empty() {
        let refused = list(&mut found.refused.iter().map(PathBuf::as_path));
        why.push_str(&format!("; not used because they are broken (see goraed's log): {refused}"));
    }
    Error::new(Kind::Unknown, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn write(dir: &Path, file: &str, value: &str, device: &str) {
        let text = format!(
            r#"{{"cdiVersion": "0.6.0", "kind": "vendor.com/net", "containerEdits": {{"env": ["ALL={value}"]}},
               "devices": [{{"name": "{device}", "containerEdits": {{"env": ["{}={value}"]}}}}]}}"#,
            device.to_uppercase()
        );
        fs::write(dir.join(file), text).expect("write");
    }

    fn names(list: &[&str]) -> Vec<DeviceName> {
        list.iter().map(|n| n.parse().expect("a name")).collect()
    }

    #[test]
    fn a_later_directory_wins_and_global_edits_come_once() {
        let (etc, run) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        write(etc.path(), "a.json", "etc", "one");
        write(etc.path(), "b.json", "etc", "two");
        write(run.path(), "a.json", "run", "one");
        let dirs = [etc.path().to_owned(), run.path().to_owned(), "/no/such/directory".into()];
        let both = resolve(&dirs, &names(&["vendor.com/net=one", "vendor.com/net=two"])).expect("both exist");
        assert_eq!(both.env, ["ALL=run", "ONE=run", "ALL=etc", "TWO=etc"]);
    }

    #[test]
    fn one_device_in_two_files_of_a_directory_is_an_error_that_names_both() {
        let dir = tempfile::tempdir().expect("dir");
        write(dir.path(), "a.json", "a", "one");
        write(dir.path(), "b.json", "b", "one");
        write(dir.path(), "c.json", "c", "two");
        let dirs = [dir.path().to_owned()];
        let error = resolve(&dirs, &names(&["vendor.com/net=one"])).expect_err("two").to_string();
        assert!(error.contains("a.json") && error.contains("b.json"), "{error}");
        assert!(resolve(&dirs, &names(&["vendor.com/net=two"])).is_ok(), "other devices are not affected");
    }

    #[test]
    fn a_broken_file_is_named_when_a_device_is_missing_and_hurts_no_other() {
        let dir = tempfile::tempdir().expect("dir");
        write(dir.path(), "good.json", "x", "one");
        fs::write(dir.path().join("broken.yaml"), "kind: [").expect("write");
        let dirs = [dir.path().to_owned()];
        assert!(resolve(&dirs, &names(&["vendor.com/net=one"])).is_ok());
        let error = resolve(&dirs, &names(&["vendor.com/net=none"])).expect_err("missing");
        assert_eq!(error.kind(), Kind::Unknown);
        assert!(error.to_string().contains("vendor.com/net=none") && error.to_string().contains("broken.yaml"));
    }
}
