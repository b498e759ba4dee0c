// SPDX-License-Identifier: Apache-2.0
//! Fetches one layer of a pull: waits for a slot, streams the blob into the unpacker, and ends as a staged directory.

use crate::error::Error;
use crate::pull::progress::Counters;
use crate::pull::task::Pull;
use crate::registry::{self, Download, Ended, Servers};
use crate::store::{self, Staged};
use futures_util::FutureExt as _;
use gorae_digest::Digest;
use gorae_image_formats::manifest::Descriptor;
use gorae_unpack::{BlobFacts, Expected, Layer, pipe};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use tokio::sync::AcquireError;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// Chunks between download and inflater, each at most a quarter MiB.
const CHUNKS: usize = 8;

/// Counters of a layer that was already present.
pub fn complete(blob: &Descriptor) -> Arc<Counters> {
    let counters = Counters::default();
    counters.downloaded.store(blob.size, Ordering::Relaxed);
    counters.done.store(true, Ordering::Relaxed);
    Arc::new(counters)
}

/// Fetches a layer, or waits for another pull that is fetching the same one.
///
/// # Errors
/// [`Error::Shared`] with this pull's own failure. If another pull's fetch fails, this one fetches the layer itself.
pub async fn fetch(
    pull: Arc<Pull>,
    blob: Descriptor,
    diff_id: Digest,
    shown: &OnceLock<Arc<Counters>>,
) -> Result<Arc<Staged>, Error> {
    loop {
        let key = (blob.digest.clone(), diff_id.clone());
        let joined = pull.parts.layers.join(key, || {
            let counters = Arc::new(Counters::default());
            let work = run(Arc::clone(&pull), blob.clone(), diff_id.clone(), Arc::clone(&counters));
            (work.map(|result| result.map_err(Arc::new)).boxed(), counters)
        });
        let _ = shown.set(Arc::clone(&joined.note));
        match joined.share.await {
            Ok(staged) => return Ok(staged),
            Err(error) if joined.is_first => return Err(Error::Shared(error)),
            // The other pull's registry or credentials failed; ours may not.
            Err(_) => {}
        }
    }
}

async fn run(
    pull: Arc<Pull>,
    blob: Descriptor,
    diff_id: Digest,
    counters: Arc<Counters>,
) -> Result<Arc<Staged>, Error> {
    let closed = |_: AcquireError| Error::Interrupted;
    let _own = pull.slots.acquire().await.map_err(closed)?;
    let _shared = pull.parts.slots.acquire().await.map_err(closed)?;
    let first = transfer(&pull, &blob, &diff_id, &counters, Servers::All).await;
    let staged = match first {
        // A mirror with wrong bytes must not keep the image from the node.
        Err(mirror @ Error::Layer { .. }) if is_other_blob(&mirror) && pull.registry.has_mirrors() => {
            counters.unpacked.store(0, Ordering::Relaxed);
            let again = transfer(&pull, &blob, &diff_id, &counters, Servers::OriginOnly).await;
            again.map_err(|own| after_a_mirror(&mirror, own))?
        }
        other => other?,
    };
    counters.done.store(true, Ordering::Relaxed);
    Ok(staged)
}

fn is_other_blob(error: &Error) -> bool {
    matches!(error, Error::Layer { source, .. } if source.is_other_blob())
}

/// Adds the mirror's error when a mirror served wrong bytes and the registry itself is unreachable.
fn after_a_mirror(mirror: &Error, mut own: Error) -> Error {
    if let Error::Registry { source, .. } = &mut own
        && let registry::Error::Unavailable { tried, .. } = source.as_mut()
    {
        *tried = format!("a mirror serves wrong bytes ({}); {tried}", registry::chain(mirror));
    }
    own
}

/// Downloads and unpacks at the same time; starts over from the first byte if the download has to.
async fn transfer(
    pull: &Pull,
    blob: &Descriptor,
    diff_id: &Digest,
    counters: &Arc<Counters>,
    from: Servers,
) -> Result<Arc<Staged>, Error> {
    let mut download = pull.registry.download(blob, from);
    loop {
        let (sink, source) = pipe::pipe(CHUNKS);
        let counted = Arc::clone(counters);
        let downloading = async move {
            let ended = download.run(sink, &counted.downloaded).await;
            (download, ended)
        };
        let task = AbortOnDrop(tokio::spawn(downloading.in_current_span()));
        counters.unpacked.store(0, Ordering::Relaxed);
        let unpacked = stage(pull, blob, diff_id, source, Arc::clone(counters)).await;
        let failed = |source| Error::Registry { image: pull.reference.to_string(), source: Box::new(source) };
        match (unpacked, task.result().await) {
            (Ok(staged), _) => return Ok(staged),
            // The cut in the unpacker's stream only echoes the failure of the download.
            (Err(Failure::Unpack(gorae_unpack::Error::Cut)), Ok((going_on, Ok(Ended::Anew)))) => download = going_on,
            (Err(Failure::Unpack(gorae_unpack::Error::Cut)), Ok((_, Err(source)))) => return Err(failed(source)),
            (Err(Failure::Unpack(gorae_unpack::Error::Cut)), Err(source)) => return Err(failed(source)),
            (Err(failure), _) => return Err(explain(pull, blob, counters, failure)),
        }
    }
}

/// Unpacks on blocking threads. If the stream is cut, they end on their own and remove their files.
async fn stage(
    pull: &Pull,
    blob: &Descriptor,
    diff_id: &Digest,
    source: pipe::Source,
    counters: Arc<Counters>,
) -> Result<Arc<Staged>, Failure> {
    let store = Arc::clone(&pull.parts.store);
    let limits = pull.parts.config.limits;
    let expected =
        Expected { blob: BlobFacts { digest: blob.digest.clone(), size: blob.size }, diff_id: diff_id.clone() };
    let staged = tokio::task::spawn_blocking(move || {
        let room = store.space()?;
        let limits = limits.within(room.bytes, room.inodes);
        store.stage(&expected.diff_id, |directory| -> Result<Layer, Failure> {
            Ok(gorae_unpack::layer(source, directory, &expected, &limits, &counters.unpacked)?)
        })
    });
    staged.await.unwrap_or(Err(Failure::Unpack(gorae_unpack::Error::Cut)))
}

/// A failure of either half of staging.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Unpack(#[from] gorae_unpack::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn explain(pull: &Pull, blob: &Descriptor, counters: &Counters, failure: Failure) -> Error {
    let no_space = match &failure {
        // The latter means that even an empty file system of this size would be too small.
        Failure::Unpack(error) => error.is_no_space() || error.is_below(&pull.parts.config.limits),
        Failure::Store(error) => error.is_no_space(),
    };
    if no_space {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (downloaded, unpacked) = (read(&counters.downloaded), read(&counters.unpacked));
        let progress =
            format!("layer {} had {downloaded} of {} bytes downloaded and {unpacked} unpacked", blob.digest, blob.size);
        return pull.no_space(progress);
    }
    match failure {
        Failure::Unpack(source) => {
            Error::Layer { image: pull.reference.to_string(), layer: blob.digest.clone(), source: Box::new(source) }
        }
        Failure::Store(source) => Error::Store(source),
    }
}

/// A task that is aborted when its waiter is dropped.
struct AbortOnDrop(JoinHandle<(Download, Result<Ended, registry::Error>)>);

impl AbortOnDrop {
    async fn result(mut self) -> Result<(Download, Result<Ended, registry::Error>), registry::Error> {
        (&mut self.0).await.map_err(|_| registry::Error::GivenUp)
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
