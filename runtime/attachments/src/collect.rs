// SPDX-License-Identifier: Apache-2.0
//! GC.

use crate::attachments::Attachments;
use crate::error::Result;
use crate::runner::Runner;
use gorae_cni::chain::{self, Caller};
use gorae_cni::list::List;
use std::path::PathBuf;

impl Attachments {
    /// Tells the plugins of a network which attachments of it there are, so that they remove all others. No ADD and no DEL
    /// runs meanwhile. Returns whether the network knows the question.
    ///
    /// # Errors
    /// The first plugin's.
    pub async fn collect(&self, list: &List, directories: &[PathBuf]) -> Result<bool> {
        let _gate = self.all.gate.write().await;
        let of = |entry: &crate::attachments::Entry| (entry.record.pod_id.clone(), entry.record.interface.clone());
        let valid: Vec<(String, String)> =
            self.all.entries().values().filter(|entry| entry.record.network == list.name).map(of).collect();
        let runner = Runner::new(self.all.spawner.clone(), "node", None);
        Ok(chain::collect(&Caller { run: &runner, directories }, list, &valid).await?)
    }
}
