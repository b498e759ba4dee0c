// SPDX-License-Identifier: Apache-2.0
//! Builds archives member by member, valid or not, for tests and fuzz targets (feature `fixture`).

use tar::{EntryType, Header};

/// A tar stream. Members are written exactly as given, by default with mode 0644, owner root and a time in 2020.
#[derive(Debug, Clone, Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    /// Adds a member with its data; `change` may edit the header before its checksum is set. Panics if the name is longer
    /// than 100 bytes.
    #[must_use]
    pub fn member(mut self, path: &str, kind: EntryType, data: &[u8], change: impl FnOnce(&mut Header)) -> Self {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().expect("a GNU header").name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_600_000_000);
        header.set_size(data.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: &str, data: &str) -> Self {
        self.member(path, EntryType::Regular, data.as_bytes(), |_| {})
    }

    /// Adds a directory of mode 0755.
    #[must_use]
    pub fn dir(self, path: &str) -> Self {
        self.member(path, EntryType::Directory, b"", |header| header.set_mode(0o755))
    }

    /// Adds a directory of this mode and owner.
    #[must_use]
    pub fn owned_dir(self, path: &str, mode: u32, (uid, gid): (u64, u64)) -> Self {
        self.member(path, EntryType::Directory, b"", |header| {
            header.set_mode(mode);
            header.set_uid(uid);
            header.set_gid(gid);
        })
    }

    /// Adds a hard or symbolic link. Panics if the target is longer than 100 bytes.
    #[must_use]
    pub fn link(self, path: &str, kind: EntryType, target: &str) -> Self {
        self.member(path, kind, b"", |header| header.set_link_name_literal(target).expect("the target is short"))
    }

    /// Adds a device with the number 1:3.
    #[must_use]
    pub fn node(self, path: &str, kind: EntryType) -> Self {
        self.member(path, kind, b"", |header| {
            header.set_device_major(1).and_then(|()| header.set_device_minor(3)).expect("a GNU header");
        })
    }

    /// Adds an extended header for the next member.
    #[must_use]
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..).find(|length| length.to_string().len() + rest == *length);
            data.extend(format!("{} {key}=", length.expect("some length fits")).into_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.member("pax", EntryType::XHeader, &data, |_| {})
    }

    /// Adds an extended attribute for the next member.
    #[must_use]
    pub fn xattr(self, name: &str, value: &[u8]) -> Self {
        self.pax(&[(&format!("SCHILY.xattr.{name}"), value)])
    }

    /// Adds the two zero blocks that end an archive and returns the stream.
    #[must_use]
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}
