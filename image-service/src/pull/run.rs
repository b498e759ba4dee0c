// SPDX-License-Identifier: Apache-2.0
//! The steps of one pull, in order.

use crate::error::Error;
use crate::gc::Pins;
use crate::image::{Image, Top};
use crate::pull::layer;
use crate::pull::parts::Parts;
use crate::pull::progress::{Posted, Stage};
use crate::pull::task::Pull;
use crate::registry::{self, Asked, Credentials, Registry, Resolved};
use crate::store::{self, NewImage};
use futures_util::future::try_join_all;
use gorae_digest::Digest;
use gorae_image_formats::hosts;
use gorae_image_formats::image_config::read_config;
use gorae_image_formats::manifest::Descriptor;
use gorae_image_formats::reference::Reference;
use gorae_image_formats::shown;
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// The work of a pull, known once manifest and config are.
struct Plan {
    new: NewImage,
    /// The blobs, in the order of `new.layers`.
    blobs: Vec<Descriptor>,
}

/// Pulls an image; see the module head.
///
/// # Errors
/// What failed: `hosts.toml`, the registry, the config, a layer, the disk or the store. The name then refers to what it did
/// before.
pub async fn run(
    parts: Arc<Parts>,
    reference: Reference,
    credentials: Option<Credentials>,
) -> Result<Arc<Image>, Error> {
    let posted = parts.board.post(&reference.to_string());
    let registry = Arc::new(open_registry(&parts, &reference, credentials, &posted).await?);
    let slots = Arc::new(Semaphore::new(parts.config.max_parallel_layers.max(1)));
    let pull = Arc::new(Pull { parts, reference, registry, slots, posted });
    if let Some(image) = pull.unchanged().await? {
        pull.posted.pull.set(Stage::Done);
        return Ok(image);
    }
    let resolved = pull.registry.resolve().await.map_err(|e| pull.failed(e))?;
    let plan = pull.plan(resolved).await?;
    let image = pull.fetch(plan).await?;
    pull.posted.pull.set(Stage::Done);
    tracing::info!(image = image.id, reference = %pull.reference, "image pulled");
    Ok(image)
}

async fn open_registry(
    parts: &Arc<Parts>,
    reference: &Reference,
    credentials: Option<Credentials>,
    posted: &Posted,
) -> Result<Registry, Error> {
    let (parts, reference, waits) = (Arc::clone(parts), reference.clone(), Arc::clone(&posted.pull.waits));
    // This reads configuration and certificates.
    let opened = tokio::task::spawn_blocking(move || {
        let registry = reference.host().to_owned();
        let hosts = hosts::hosts(parts.config.hosts(), &registry)
            .map_err(|source| Error::Hosts { registry, source: Box::new(source) })?;
        let asked = Asked { reference: &reference, credentials, waits };
        Registry::new(&parts.config, &parts.registries, hosts, asked)
            .map_err(|source| Error::Registry { image: reference.to_string(), source: Box::new(source) })
    });
    opened.await.map_err(|_| Error::Interrupted)?
}

impl Pull {
    /// Returns the image of this name, if the registry still has the same digest for it.
    async fn unchanged(&self) -> Result<Option<Arc<Image>>, Error> {
        let name = self.reference.to_string();
        if self.parts.store.named(&name).is_none() {
            return Ok(None);
        }
        let digest = match self.registry.current_digest().await {
            Ok(Some(digest)) => digest,
            // Not every registry supports HEAD requests.
            Ok(None) | Err(registry::Error::Status { .. }) => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        let known = self.parts.store.named(&name);
        // An image that was pulled by a version that did not check for implied directories is treated as new.
        let known = known.filter(|image| image.top != Top::Unknown);
        Ok(known.filter(|image| image.repo_digests.contains(&self.reference.with_digest(&digest))))
    }

    async fn plan(&self, resolved: Resolved) -> Result<Plan, Error> {
        let Resolved { digest, manifest } = resolved;
        let body = self.registry.config(&manifest.config).await.map_err(|e| self.failed(e))?;
        let invalid = |why: String| Error::Config {
            image: self.reference.to_string(),
            config: manifest.config.digest.clone(),
            why,
        };
        let raw_config = String::from_utf8(body.to_vec()).map_err(|_| invalid("it is not UTF-8".to_owned()))?;
        let config = read_config(&raw_config).map_err(|e| invalid(shown(&e.to_string())))?;
        let layers = config.rootfs().diff_ids().iter().map(|id| Digest::parse(id)).collect::<Result<Vec<_>, _>>();
        let layers = layers.map_err(|e| invalid(format!("a diff id: {e}")))?;
        if layers.len() != manifest.layers.len() {
            return Err(invalid(format!("{} diff ids for {} layers", layers.len(), manifest.layers.len())));
        }
        let mut names = vec![self.reference.with_digest(&digest)];
        if self.reference.tag().is_some() {
            names.push(self.reference.to_string());
        }
        let new =
            NewImage { id: Digest::of(raw_config.as_bytes()), raw_config, config: Arc::new(config), layers, names };
        Ok(Plan { new, blobs: manifest.layers })
    }

    /// Fetches the missing layers, all at once, and commits.
    async fn fetch(self: &Arc<Self>, plan: Plan) -> Result<Arc<Image>, Error> {
        let Plan { new, blobs } = plan;
        let pins = self.parts.store.pin(&new.layers);
        let shown = blobs.iter().map(|blob| (blob.digest.clone(), blob.size, OnceLock::new())).collect();
        let shown = self.posted.pull.layers.get_or_init(|| shown);
        self.posted.pull.set(Stage::Layers);
        let mut missing = Vec::new();
        let mut bytes = 0u64;
        let mut planned = HashSet::new();
        for ((blob, diff_id), (_, _, counters)) in blobs.iter().zip(&new.layers).zip(shown) {
            if pins.has(diff_id) || !planned.insert(diff_id) {
                let _ = counters.set(layer::complete(blob));
                continue;
            }
            bytes = bytes.saturating_add(blob.size);
            missing.push(layer::fetch(Arc::clone(self), blob.clone(), diff_id.clone(), counters));
        }
        self.admit(bytes)?;
        let staged = try_join_all(missing).await?;
        self.posted.pull.set(Stage::Committing);
        self.commit(new, staged, pins).await
    }

    /// Refuses an image that cannot fit before anything is downloaded: a layer is rarely smaller than its blob.
    fn admit(&self, bytes: u64) -> Result<(), Error> {
        let room = self.parts.store.space()?;
        let reserve = self.parts.config.limits.reserve.bytes(room.bytes);
        if bytes == 0 || bytes <= room.free_bytes.saturating_sub(reserve) {
            return Ok(());
        }
        Err(self.no_space(format!("its compressed layers have {bytes} bytes")))
    }

    async fn commit(&self, new: NewImage, staged: Vec<Arc<store::Staged>>, pins: Pins) -> Result<Arc<Image>, Error> {
        let (store, reserve) = (Arc::clone(&self.parts.store), self.parts.config.limits.reserve);
        // Dropping the pull does not undo this: the thread finishes the commit.
        let span = tracing::Span::current();
        let committed = tokio::task::spawn_blocking(move || {
            let committed = span.in_scope(|| store.commit(new, &staged, reserve));
            drop((staged, pins));
            committed
        });
        match committed.await.map_err(|_| Error::Interrupted)? {
            Err(error) if error.is_no_space() => Err(self.no_space("all layers are unpacked".to_owned())),
            other => other.map_err(Error::Store),
        }
    }
}
