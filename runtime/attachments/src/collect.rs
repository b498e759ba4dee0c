// SPDX-License-Identifier: Apache-2.0
//! GC.

use crate::attachments::Attachments;
use crate::error::Result;
use crate::other_runtimes;
use crate::runner::Runner;
use gorae_cni::chain::{self, Caller};
use gorae_cni::list::List;
use std::collections::HashSet;
use std::path::PathBuf;

/// What became of a GC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collected {
    /// The plugins have removed what belongs to no attachment.
    Done,
    /// The network does not know the question, or does not want it.
    Unasked,
    /// Not all attachments are known: a record is damaged.
    Damaged,
    /// An ADD or a DEL is under way.
    Later,
    /// Another runtime has pods here: its socket, or a network namespace.
    Shared(String),
}

impl Attachments {
    /// Tells the plugins of a network which attachments of it there are, so that they remove all others. The
    /// question is put only when no ADD and no DEL is under way, and those that come then wait for its end. Nothing waits
    /// for such a moment, because an ADD may hang. `pods` has the files of the namespaces of all pods of this node, in
    /// whatever network, also of those that are just made.
    ///
    /// # Errors
    /// The first plugin's.
    pub async fn collect(
        &self,
        list: &List,
        directories: &[PathBuf],
        pods: impl Fn() -> HashSet<PathBuf>,
    ) -> Result<Collected> {
        if !chain::can_collect(list) {
            return Ok(Collected::Unasked);
        }
        if self.all.is_damaged {
            return Ok(Collected::Damaged);
        }
        let ours = || {
            let attached = self.all.entries().values().map(|entry| PathBuf::from(&entry.record.netns)).collect();
            pods().into_iter().chain::<HashSet<PathBuf>>(attached).collect()
        };
        if let Some(trace) = other_runtimes::trace(ours).await {
            return Ok(Collected::Shared(trace));
        }
        let Ok(_gate) = self.all.gate.try_write() else { return Ok(Collected::Later) };
        let of = |entry: &crate::attachments::Entry| (entry.record.pod_id.clone(), entry.record.interface.clone());
        let valid: Vec<(String, String)> =
            self.all.entries().values().filter(|entry| entry.record.network == list.name).map(of).collect();
        let runner = Runner::new(self.all.spawner.clone(), "node", None);
        chain::collect(&Caller { run: &runner, directories }, list, &valid).await?;
        Ok(Collected::Done)
    }
}
