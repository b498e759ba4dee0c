// SPDX-License-Identifier: Apache-2.0
//! Block I/O of a cgroup, by device.

use super::group::{Directory, Group};
use std::collections::BTreeMap;

/// Counters of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
}

impl Device {
    /// The device's path, such as "/dev/vda", or "" when the device is gone.
    pub(super) fn path(&self) -> String {
        let link = std::fs::read_link(format!("/sys/dev/block/{}:{}", self.major, self.minor));
        let name = link.ok().and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()));
        name.map(|name| format!("/dev/{name}")).unwrap_or_default()
    }
}

/// Reads the counters of all devices that the group used.
pub(super) fn devices(group: &Group<'_>) -> Vec<Device> {
    if group.is_v2() {
        return group.unified().and_then(|dir| dir.read_list("io.stat")).map(|text| v2(&text)).unwrap_or_default();
    }
    group.v1("blkio").map(v1).unwrap_or_default()
}

/// Source: cgroup-v2.rst, "io.stat": "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 …".
fn v2(text: &str) -> Vec<Device> {
    let device = |line: &str| {
        let (number, fields) = line.split_once(' ')?;
        let (major, minor) = number.split_once(':')?;
        let mut device = Device { major: major.parse().ok()?, minor: minor.parse().ok()?, ..Device::default() };
        for (key, value) in fields.split(' ').filter_map(|field| field.split_once('=')) {
            let value = value.parse().unwrap_or(0);
            match key {
                "rbytes" => device.read_bytes = value,
                "wbytes" => device.written_bytes = value,
                "rios" => device.reads = value,
                "wios" => device.writes = value,
                _ => {}
            }
        }
        Some(device)
    };
    text.lines().filter_map(device).collect()
}

/// Source: cgroup-v1/blkio-controller.rst: "8:16 Read 1459200", one line for each operation.
fn v1(dir: &Directory) -> Vec<Device> {
    let mut devices: BTreeMap<(u32, u32), Device> = BTreeMap::new();
    let bytes = dir.read_list("blkio.throttle.io_service_bytes_recursive").unwrap_or_default();
    let counts = dir.read_list("blkio.throttle.io_serviced_recursive").unwrap_or_default();
    for (text, is_bytes) in [(bytes, true), (counts, false)] {
        for (major, minor, operation, value) in text.lines().filter_map(v1_line) {
            let device = devices.entry((major, minor)).or_insert(Device { major, minor, ..Device::default() });
            match (operation, is_bytes) {
                ("Read", true) => device.read_bytes = value,
                ("Write", true) => device.written_bytes = value,
                ("Read", false) => device.reads = value,
                ("Write", false) => device.writes = value,
                _ => {}
            }
        }
    }
    devices.into_values().collect()
}

fn v1_line(line: &str) -> Option<(u32, u32, &str, u64)> {
    let mut fields = line.split(' ');
    let (major, minor) = fields.next()?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?, fields.next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_counters_are_those_of_the_groups_own_hierarchy() {
        use gorae_cgroups::Hierarchies;
        use gorae_proto::shim::{CgroupLayout, V1Hierarchy};
        let root = tempfile::tempdir().expect("a directory");
        let group = root.path().join("pod/container");
        std::fs::create_dir_all(&group).expect("made");
        for (file, text) in [
            ("io_service_bytes_recursive", "8:16 Read 4096\n8:16 Write 8192\n8:16 Total 12288\nTotal 12288\n"),
            ("io_serviced_recursive", "8:16 Read 1\n8:16 Write 2\n8:16 Total 3\nTotal 3\n"),
        ] {
            std::fs::write(group.join(format!("blkio.throttle.{file}")), text).expect("written");
        }
        let mount_point = root.path().display().to_string();
        let v1 = vec![V1Hierarchy { mount_point, controllers: vec!["blkio".into()] }];
        let all = Hierarchies::of_mount_table(&CgroupLayout { v1, ..CgroupLayout::default() })
            .expect("the hierarchies exist");
        let counted = Device { major: 8, minor: 16, read_bytes: 4096, written_bytes: 8192, reads: 1, writes: 2 };
        assert_eq!(devices(&Group::new(&all, "/pod/container")), [counted]);
        assert!(devices(&Group::new(&all, "/pod")).is_empty(), "nothing is made up");
    }

    #[test]
    fn v2_counters_are_read_by_key() {
        let devices = v2("8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:0 \nbroken\n");
        let read = Device { major: 8, minor: 16, read_bytes: 1, written_bytes: 2, reads: 3, writes: 4 };
        assert_eq!(devices, [read, Device { major: 8, ..Device::default() }]);
        assert_eq!(v1_line("254:0 Read 4096"), Some((254, 0, "Read", 4096)));
        assert_eq!(v1_line("Total 4096"), None);
    }
}
