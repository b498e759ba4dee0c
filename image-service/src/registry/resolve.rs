// SPDX-License-Identifier: Apache-2.0
//! Resolves a reference to the manifest and config for one platform, each checked against its digest.

use crate::registry::ask::Ask;
use crate::registry::endpoints::Registry;
use crate::registry::error::Error;
use crate::registry::small::said;
use bytes::Bytes;
use gorae_digest::Digest;
use gorae_image_formats::manifest::{self, Document, MAX_CONFIG, MAX_MANIFEST, Manifest};
use http::Method;
use http::header::CONTENT_TYPE;

/// Most documents on the path to a manifest, including the manifest.
const MAX_NESTING: usize = 3;
/// Most documents that are read to find the manifest: an index of indexes may have to be searched.
const MAX_DOCUMENTS: usize = 16;

/// What a reference currently resolves to.
#[derive(Debug)]
pub struct Resolved {
    /// Digest of the index or manifest that the reference names.
    pub digest: Digest,
    /// The manifest for this platform.
    pub manifest: Manifest,
}

/// The result of reading a document for this node.
enum Looked {
    Manifest(Manifest),
    /// The entries of an index that suit this node, best first.
    Entries(Vec<Digest>),
}

/// A document with its digest.
struct Fetched {
    digest: Digest,
    content_type: String,
    body: Bytes,
}

impl Registry {
    /// Requests the current digest of the reference, without its content; `None` if the registry does not report it.
    ///
    /// # Errors
    /// As [`Registry::resolve`]. Success proves that these credentials may read the image.
    pub async fn current_digest(&self) -> Result<Option<Digest>, Error> {
        let wanted = self.reference.wanted();
        let what = format!("manifest {wanted} of {}", self.reference.repository());
        let ask = Ask::manifest(Method::HEAD, &wanted, None, &what);
        let (headers, _) = self.small(&ask, self.reference.digest().is_none(), 0).await?;
        // A digest reference does not need the header: the registry has exactly this digest.
        Ok(self.reference.digest().cloned().or_else(|| said(&headers)))
    }

    /// Fetches the manifest for this platform, through indexes if necessary. The most suitable entry comes first. If that
    /// is an index without an image for this node, the next one is tried.
    ///
    /// # Errors
    /// [`Error`], any variant except `Stalled` and `GivenUp`.
    pub async fn resolve(&self) -> Result<Resolved, Error> {
        let mut fetched = self.document(&self.reference.wanted(), self.reference.digest()).await?;
        let (top, mut depth, mut documents) = (fetched.digest.clone(), 1, 1);
        let mut left: Vec<(Digest, usize)> = Vec::new();
        let mut in_vain = None;
        loop {
            match self.look_into(&fetched, depth) {
                Ok(Looked::Manifest(manifest)) => return Ok(Resolved { digest: top, manifest }),
                Ok(Looked::Entries(best_first)) => {
                    left.extend(best_first.into_iter().rev().map(|digest| (digest, depth + 1)));
                }
                // Keep the first error. It is the most helpful one, since it is about the most suitable index.
                Err(error @ (Error::Manifest(manifest::Error::NoPlatform { .. }) | Error::TooDeep { .. })) => {
                    in_vain.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            let what = || format!("index {top} of {}", self.reference.repository());
            let Some((next, at)) = left.pop() else {
                let nothing = || Error::Invalid { what: what(), why: "it does not name a manifest".to_owned() };
                return Err(in_vain.unwrap_or_else(nothing));
            };
            documents += 1;
            if documents > MAX_DOCUMENTS {
                let why = format!("its first {MAX_DOCUMENTS} indexes have no image for this node");
                return Err(Error::Invalid { what: what(), why });
            }
            fetched = self.document(&next.to_string(), Some(&next)).await?;
            depth = at;
        }
    }

    /// Reads a document that is `depth` documents from the reference.
    fn look_into(&self, fetched: &Fetched, depth: usize) -> Result<Looked, Error> {
        let what = format!("manifest {} of {}", fetched.digest, self.reference.repository());
        let entries = match manifest::read(&what, &fetched.content_type, &fetched.body)? {
            Document::Manifest(manifest) => return Ok(Looked::Manifest(manifest)),
            Document::Index(entries) => entries,
        };
        let best_first = manifest::choose(&what, &entries, &self.config.platform)?;
        if depth == MAX_NESTING {
            return Err(Error::TooDeep { what, limit: MAX_NESTING });
        }
        Ok(Looked::Entries(best_first.into_iter().map(|entry| entry.descriptor.digest.clone()).collect()))
    }

    /// Fetches an image config.
    ///
    /// # Errors
    /// [`Error`], among them `Digest` and `TooLarge`.
    pub async fn config(&self, descriptor: &manifest::Descriptor) -> Result<Bytes, Error> {
        let what = format!("config {} of {}", descriptor.digest, self.reference.repository());
        let ask = Ask::blob(&descriptor.digest, None, &what);
        let (_, body) = self.small(&ask, false, descriptor.size.min(MAX_CONFIG)).await?;
        Ok(body)
    }

    async fn document(&self, wanted: &str, expected: Option<&Digest>) -> Result<Fetched, Error> {
        let what = format!("manifest {wanted} of {}", self.reference.repository());
        let ask = Ask::manifest(Method::GET, wanted, expected, &what);
        let (headers, body) = self.small(&ask, expected.is_none(), MAX_MANIFEST).await?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        let digest = expected.cloned().or_else(|| said(&headers)).unwrap_or_else(|| Digest::of(&body));
        Ok(Fetched { digest, content_type: header(CONTENT_TYPE.as_str()), body })
    }
}
