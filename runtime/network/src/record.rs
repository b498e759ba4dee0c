// SPDX-License-Identifier: Apache-2.0
//! The durable record of the name and the subnet of this daemon's network: `ROOT/network`.
//!
//! It is written (and synced) before the bridge is created, and read at every start: the addresses of live pods are
//! valid only in the subnet they were allocated from.

use crate::error::NetworkError;
use crate::subnets::Subnets;
use gorae_kernel::checked::{self, Unusable};
use gorae_kernel::record_file::{self, Durability};
use serde::{Deserialize, Serialize};
use std::fs::rename;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const KIND: &str = "network";
/// The newest version that this build reads. In it, a subnet may lack IPv4.
pub const RECORD_VERSION: u32 = 2;
/// Every build reads this one. It is written whenever it can hold what there is, so that an earlier build can be put back.
const WITH_IPV4: u32 = 1;

/// Where the subnet comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Our own choice: the first free candidate.
    Chosen,
    /// The configuration file.
    Configured,
    /// kubelet's pod CIDR for this node.
    PodCidr,
}

/// The network of one daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the bridge.
    pub bridge: String,
    /// Name of the nftables table.
    pub table: String,
    /// Subnets of the pods.
    #[serde(flatten)]
    pub subnets: Subnets,
    /// Where the subnet comes from.
    pub origin: Origin,
    /// kubelet's pod CIDR, while pods live in another one: the next subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Subnets>,
}

/// Reads the record; `None` when there is none yet.
///
/// # Errors
/// [`NetworkError::Record`] when it is damaged or cannot be read; [`NetworkError::ForeignRecord`].
pub fn load(root: &Path) -> Result<Option<Record>, NetworkError> {
    let path = path(root);
    let fail = |why: String| NetworkError::Record { path: path.clone(), why };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e.to_string())),
    };
    let read = checked::read(&path, KIND, RECORD_VERSION, &bytes, |body| serde_json::from_slice(body));
    read.map(Some).map_err(|unusable| match unusable {
        Unusable::Damaged(why) => fail(why.to_string()),
        Unusable::Foreign(foreign) => NetworkError::ForeignRecord(foreign),
    })
}

/// Moves a record that cannot be read to `network.damaged`, for inspection.
///
/// # Errors
/// The rename fails; the next record then replaces the damaged one.
pub fn set_aside(root: &Path) -> std::io::Result<()> {
    rename(path(root), root.join("network.damaged"))
}

/// Replaces the record; it survives a power cut once this returns.
///
/// # Errors
/// [`NetworkError::Record`]; the old record then still exists.
pub fn save(root: &Path, record: &Record) -> Result<(), NetworkError> {
    write(root, record).map_err(|e| NetworkError::Record { path: path(root), why: e.to_string() })
}

fn write(root: &Path, record: &Record) -> std::io::Result<()> {
    let body = serde_json::to_vec(record)?;
    record_file::replace(root, KIND, &checked::encode(KIND, version(record), &body), Durability::PowerCut)
}

/// An earlier build must refuse what it cannot use: it would take the record as damaged, and choose another subnet while
/// pods live.
fn version(record: &Record) -> u32 {
    let mut all = std::iter::once(&record.subnets).chain(&record.wanted);
    if all.all(|subnets| subnets.v4.is_some()) { WITH_IPV4 } else { RECORD_VERSION }
}

fn path(root: &Path) -> PathBuf {
    root.join(KIND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subnets::Family;

    fn record() -> Record {
        Record {
            bridge: "gorae-1a2b3c".into(),
            table: "gorae-1a2b3c".into(),
            subnets: Subnets::new(Some("10.64.16.0/20".parse().expect("net")), None, Family::V4),
            origin: Origin::Chosen,
            wanted: None,
        }
    }

    #[test]
    fn what_was_saved_is_loaded_at_the_next_start() {
        let root = tempfile::tempdir().expect("directory");
        assert_eq!(load(root.path()).expect("readable"), None);
        save(root.path(), &record()).expect("writable");
        assert_eq!(load(root.path()).expect("readable"), Some(record()));
        let wanted = Some(Subnets::new(None, Some("fd00:3::/64".parse().expect("net")), Family::V6));
        let changed = Record { origin: Origin::PodCidr, wanted, ..record() };
        save(root.path(), &changed).expect("writable");
        assert_eq!(load(root.path()).expect("readable"), Some(changed));
    }

    #[test]
    fn the_record_of_an_earlier_version_wants_nothing_and_has_ipv4_first() {
        let body = r#"{"bridge":"b","table":"t","subnet":"10.64.0.0/20","subnet6":"fd00::/64","origin":"chosen"}"#;
        let read = serde_json::from_str::<Record>(body).expect("readable");
        assert_eq!((read.wanted, read.subnets.text().as_str()), (None, "10.64.0.0/20,fd00::/64"));
        assert_eq!(serde_json::to_string(&read).expect("text"), body, "and it can read ours");
    }

    #[test]
    fn a_record_of_another_program_is_an_error_of_its_own() {
        let root = tempfile::tempdir().expect("directory");
        for (version, body) in [(RECORD_VERSION + 1, "{}"), (RECORD_VERSION, "{\"bridge\": 1}")] {
            std::fs::write(root.path().join("network"), checked::encode(KIND, version, body.as_bytes()))
                .expect("writable");
            assert!(matches!(load(root.path()), Err(NetworkError::ForeignRecord(_))), "{body}");
        }
    }

    #[test]
    fn an_earlier_build_refuses_only_a_record_that_lacks_an_ipv4_subnet() {
        let root = tempfile::tempdir().expect("directory");
        let without = Subnets::new(None, Some("fd00:3::/64".parse().expect("net")), Family::V6);
        let both = Subnets { v6: without.v6, ..record().subnets };
        for (subnets, wanted, by_earlier) in [
            (both, None, true),
            (both, Some(both), true),
            (without, None, false),
            (both, Some(without), false),
            (without, Some(both), false),
        ] {
            let written = Record { subnets, wanted, ..record() };
            save(root.path(), &written).expect("writable");
            assert_eq!(load(root.path()).expect("readable"), Some(written));
            let bytes = std::fs::read(root.path().join("network")).expect("readable");
            assert_eq!(checked::decode(KIND, WITH_IPV4, &bytes).is_ok(), by_earlier, "{subnets:?} {wanted:?}");
        }
    }

    #[test]
    fn a_damaged_record_is_an_error_with_its_path_and_never_another_subnet() {
        let root = tempfile::tempdir().expect("directory");
        save(root.path(), &record()).expect("writable");
        let file = root.path().join("network");
        let mut bytes = std::fs::read(&file).expect("readable");
        *bytes.last_mut().expect("not empty") ^= 1;
        std::fs::write(&file, bytes).expect("writable");
        let error = load(root.path()).expect_err("damaged").to_string();
        assert!(error.contains("/network: record is damaged"), "{error}");
    }
}
