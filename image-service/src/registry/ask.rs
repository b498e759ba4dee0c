// SPDX-License-Identifier: Apache-2.0
//! What a host is asked for.

use gorae_digest::Digest;
use gorae_image_formats::manifest;
use http::Method;

/// A request relative to the repository.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// Method, GET or HEAD.
    pub method: Method,
    /// `manifests/latest`, `blobs/sha256:…`.
    pub path: String,
    /// Media types that are welcome.
    pub accept: Option<&'a str>,
    /// First and last byte wanted.
    pub range: Option<(u64, u64)>,
    /// What the body must hash to; a host with different bytes counts as not having it.
    pub digest: Option<&'a Digest>,
    /// What it is, for error texts.
    pub what: &'a str,
}

impl<'a> Ask<'a> {
    /// A manifest by tag or digest.
    pub fn manifest(method: Method, wanted: &str, digest: Option<&'a Digest>, what: &'a str) -> Self {
        let path = format!("manifests/{wanted}");
        Self { method, path, accept: Some(manifest::ACCEPT), range: None, digest, what }
    }

    /// A blob, or the rest of it.
    pub fn blob(digest: &'a Digest, range: Option<(u64, u64)>, what: &'a str) -> Self {
        Self { method: Method::GET, path: format!("blobs/{digest}"), accept: None, range, digest: Some(digest), what }
    }
}
