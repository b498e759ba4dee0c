// SPDX-License-Identifier: Apache-2.0
//! The profile of a security module as the CRI describes it: a kind, and a reference that belongs to one of the kinds.

use crate::error::{Error, Result};
use gorae_proto::cri::{SecurityProfile, security_profile::ProfileType};

/// The kind of a profile.
///
/// # Errors
/// `InvalidArgument` for a kind that the CRI does not define, and for a reference with a kind that has none.
pub fn kind(field: &str, asked: &SecurityProfile) -> Result<ProfileType> {
    let kind = ProfileType::try_from(asked.profile_type)
        .map_err(|_| Error::invalid(format!("{field}: {} is not a profile type", asked.profile_type)))?;
    if kind != ProfileType::Localhost && !asked.localhost_ref.is_empty() {
        return Err(Error::invalid(format!("{field}: localhost_ref is set, but the type is not Localhost")));
    }
    Ok(kind)
}

/// Strips the prefix that older clients put before a reference.
pub fn without_prefix(reference: &str) -> &str {
    reference.strip_prefix("localhost/").unwrap_or(reference)
}
