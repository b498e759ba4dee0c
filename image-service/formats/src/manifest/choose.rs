// SPDX-License-Identifier: Apache-2.0
//! Selects the entries of an index that suit a node.

use crate::manifest::document::IndexEntry;
use crate::manifest::error::Error;
use crate::manifest::media_types::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, SCHEMA_1, SCHEMA_1_SIGNED};
use crate::platform::{self, Platform};
use crate::shown::shown;

/// The entries that suit a platform, best first: ordered by [`platform::rank`], then those without a platform.
///
/// - Shapes: never empty; entries of equal rank keep the order of the index.
///
/// # Errors
/// [`Error::NoPlatform`] with the available platforms; [`Error::Unsupported`] if the only matches are schema 1 manifests.
pub fn choose<'e>(what: &str, entries: &'e [IndexEntry], wanted: &Platform) -> Result<Vec<&'e IndexEntry>, Error> {
    let rank = |entry: &IndexEntry| entry.platform.as_ref().map_or(Some(u32::MAX), |p| platform::rank(p, wanted));
    let of = |types: &'static [&str]| {
        let typed = entries.iter().filter(move |entry| types.contains(&entry.descriptor.media_type.as_str()));
        typed.filter_map(|entry| Some((rank(entry)?, entry))).collect::<Vec<_>>()
    };
    let mut suitable = of(&[OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST, ""]);
    if !suitable.is_empty() {
        suitable.sort_by_key(|(rank, _)| *rank);
        return Ok(suitable.into_iter().map(|(_, entry)| entry).collect());
    }
    if !of(&[SCHEMA_1, SCHEMA_1_SIGNED]).is_empty() {
        return Err(Error::schema_1(what));
    }
    let mut available: Vec<String> =
        entries.iter().filter_map(|e| e.platform.as_ref()).map(|p| shown(&p.to_string())).collect();
    available.dedup();
    available.truncate(12);
    let available = if available.is_empty() { "nothing".to_owned() } else { available.join(", ") };
    Err(Error::NoPlatform { what: what.to_owned(), platform: wanted.to_string(), available })
}
