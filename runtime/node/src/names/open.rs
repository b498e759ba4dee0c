// SPDX-License-Identifier: Apache-2.0
//! Opens the sockets of one pod and hands them over. The port is recorded: with the same one, sockets that the pod's
//! programs have connected to a name server go on with the next name server.

use super::record::Record;
use super::shared::Shared;
use crate::error::Error;
use crate::ids::PodId;
use gorae_proto::shim::OpenNames;
use gorae_shims::{self as shims, Names};
use std::path::Path;

/// Why a pod is not answered.
#[derive(Debug, Clone)]
pub(super) enum Failed {
    /// The name server has ended.
    NameServerGone,
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Opens the sockets of a pod and has it answered.
///
/// # Errors
/// The shim's, and the kernel's for the record.
pub(super) async fn open(shared: &Shared, names: &Names, pod: &PodId, netns: &Path) -> std::result::Result<(), Failed> {
    let last = Record::of(&shared.places, pod).port;
    // From here on, the translation in the pod may lead to other sockets than those that the name server has.
    Record { port: last, handed_over: false }.write(&shared.places, pod)?;
    let port = hand_over(shared, names, pod, (netns, last)).await.map_err(|error| match error {
        shims::Error::Gone(_) => Failed::NameServerGone,
        other => Failed::Other(other.into()),
    })?;
    Ok(Record { port, handed_over: true }.write(&shared.places, pod)?)
}

/// Returns the port to ask for the next time.
async fn hand_over(shared: &Shared, names: &Names, pod: &PodId, (netns, last): (&Path, u16)) -> shims::Result<u16> {
    let request = OpenNames { netns: netns.to_string_lossy().into_owned(), port: last.into() };
    let (opened, sockets) = shims::open_names(&shared.spawner, pod, request).await?;
    names.add(pod, &sockets).await?;
    if opened.untranslated.is_empty() {
        return Ok(u16::try_from(opened.port).unwrap_or_default());
    }
    // Port 53 itself, which is not to be asked for when it can be translated again.
    shared.warn_untranslated(&opened.untranslated);
    Ok(0)
}
