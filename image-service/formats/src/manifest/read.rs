// SPDX-License-Identifier: Apache-2.0
//! Reads a manifest or index of any supported format. Pure; the bytes are untrusted.

use crate::go_json::{List, go_object};
use crate::manifest::document::{Descriptor, Document, IndexEntry, Manifest};
use crate::manifest::error::Error;
use crate::manifest::media_types::{
    DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, SCHEMA_1, SCHEMA_1_SIGNED,
};
use crate::platform::Platform;
use crate::shown::shown;
use gorae_digest::Digest;
use serde::de::IgnoredAny;

/// Largest image config in bytes.
pub const MAX_CONFIG: u64 = 8 << 20;
/// Most layers of an image: overlayfs supports 500 lower directories.
pub const MAX_LAYERS: usize = 500;

go_object!(RawDescriptor {
    media_type: String = "mediaType",
    digest: String = "digest",
    size: i64 = "size",
    platform: RawPlatform = "platform",
});

go_object!(RawPlatform { os: String = "os", architecture: String = "architecture", variant: String = "variant" });

go_object!(RawDocument {
    schema_version: i64 = "schemaVersion",
    media_type: String = "mediaType",
    config: Option<RawDescriptor> = "config",
    layers: Option<List<RawDescriptor>> = "layers",
    manifests: Option<List<RawDescriptor>> = "manifests",
    schema_1_layers: List<IgnoredAny> = "fsLayers",
});

/// Reads a manifest or index; `content_type` comes from the registry and is used if the document has no media type.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Unsupported`].
pub fn read(what: &str, content_type: &str, body: &[u8]) -> Result<Document, Error> {
    let invalid = |why: String| Error::Invalid { what: what.to_owned(), why };
    let content_type = content_type.split(';').next().unwrap_or("").trim();
    // Signed schema 1 manifests have a different form, so the registry's content type takes precedence.
    if matches!(content_type, SCHEMA_1 | SCHEMA_1_SIGNED) {
        return Err(Error::schema_1(what));
    }
    let raw: RawDocument =
        serde_json::from_slice(body).map_err(|e| invalid(format!("not a manifest: {}", shown(&e.to_string()))))?;
    let media_type = if raw.media_type.is_empty() { content_type } else { raw.media_type.as_str() };
    let named = matches!(media_type, SCHEMA_1 | SCHEMA_1_SIGNED);
    if named || raw.schema_version == 1 || !raw.schema_1_layers.0.is_empty() {
        return Err(Error::schema_1(what));
    }
    // One reader could take a document with both as an index, and another as an image.
    match (media_type, raw.manifests, raw.config, raw.layers) {
        (_, Some(_), Some(_), _) | (_, Some(_), _, Some(_)) => {
            Err(invalid("it is both an index and a manifest".to_owned()))
        }
        (OCI_MANIFEST | DOCKER_MANIFEST, Some(_), ..) => {
            Err(invalid("its media type is that of a manifest, but its content is an index".to_owned()))
        }
        (OCI_INDEX | DOCKER_LIST, None, None, None) => Ok(Document::Index(Vec::new())),
        (OCI_INDEX | DOCKER_LIST, None, ..) => {
            Err(invalid("its media type is that of an index, but its content is not one".to_owned()))
        }
        (_, Some(entries), ..) => {
            entries.0.into_iter().map(|e| index_entry(what, e)).collect::<Result<_, _>>().map(Document::Index)
        }
        (_, None, Some(config), layers) => manifest(what, config, layers.unwrap_or_default().0).map(Document::Manifest),
        (_, None, None, _) => Err(invalid("it has neither manifests nor a config".to_owned())),
    }
}

fn manifest(what: &str, config: RawDescriptor, layers: Vec<RawDescriptor>) -> Result<Manifest, Error> {
    let config = descriptor(what, config)?;
    if !matches!(config.media_type.as_str(), OCI_CONFIG | DOCKER_CONFIG) {
        let why = format!("its config is {:?}, so it is not a container image", shown(&config.media_type));
        return Err(Error::Unsupported { what: what.to_owned(), why });
    }
    if config.size == 0 || config.size > MAX_CONFIG {
        return Err(Error::Invalid { what: what.to_owned(), why: format!("its config has {} bytes", config.size) });
    }
    if layers.len() > MAX_LAYERS {
        return Err(Error::Unsupported {
            what: what.to_owned(),
            why: format!("{} layers (at most {MAX_LAYERS})", layers.len()),
        });
    }
    let layers = layers.into_iter().map(|layer| descriptor(what, layer)).collect::<Result<Vec<_>, _>>()?;
    if let Some(encrypted) = layers.iter().find(|layer| layer.media_type.ends_with("+encrypted")) {
        return Err(Error::Unsupported {
            what: what.to_owned(),
            why: format!("layer {} is encrypted", encrypted.digest),
        });
    }
    Ok(Manifest { config, layers })
}

fn index_entry(what: &str, mut raw: RawDescriptor) -> Result<IndexEntry, Error> {
    let RawPlatform { os, architecture, variant } = std::mem::take(&mut raw.platform);
    let says_something = !(os.is_empty() && architecture.is_empty() && variant.is_empty());
    let platform = says_something.then_some(Platform { os, architecture, variant });
    Ok(IndexEntry { descriptor: descriptor(what, raw)?, platform })
}

fn descriptor(what: &str, raw: RawDescriptor) -> Result<Descriptor, Error> {
    let invalid = |why: String| Error::Invalid { what: what.to_owned(), why };
    let digest = Digest::parse(&raw.digest).map_err(|e| invalid(e.to_string()))?;
    let size = u64::try_from(raw.size).map_err(|_| invalid(format!("{digest} has an invalid size of {}", raw.size)))?;
    Ok(Descriptor { media_type: raw.media_type, digest, size })
}
