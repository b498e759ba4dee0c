// SPDX-License-Identifier: Apache-2.0
//! Requests to a registry host.

use gorae_digest::Digest;
use gorae_image_formats::manifest;
use http::Method;

/// A request, relative to the repository.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The method, GET or HEAD.
    pub method: Method,
    /// The path: `manifests/latest`, `blobs/sha256:…`.
    pub path: String,
    /// Accepted media types.
    pub accept: Option<&'a str>,
    /// The first and last byte to fetch.
    pub range: Option<(u64, u64)>,
    /// The expected digest of the body; a host with different bytes counts as not having it.
    pub digest: Option<&'a Digest>,
    /// What the request is for, in error messages.
    pub what: &'a str,
}

impl<'a> Ask<'a> {
    /// A request for a manifest by tag or digest.
    pub fn manifest(method: Method, wanted: &str, digest: Option<&'a Digest>, what: &'a str) -> Self {
        let path = format!("manifests/{wanted}");
        Self { method, path, accept: Some(manifest::ACCEPT), range: None, digest, what }
    }

    /// A request for a blob or the rest of it.
    pub fn blob(digest: &'a Digest, range: Option<(u64, u64)>, what: &'a str) -> Self {
        Self { method: Method::GET, path: format!("blobs/{digest}"), accept: None, range, digest: Some(digest), what }
    }
}
