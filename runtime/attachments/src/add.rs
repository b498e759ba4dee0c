// SPDX-License-Identifier: Apache-2.0
//! ADD: the record first, then the plugins.

use crate::attachments::{Attachments, Entry};
use crate::error::{Error, Result};
use crate::record::{Phase, Record};
use gorae_cni::arguments::{Pod, arguments};
use gorae_cni::capability::Capabilities;
use gorae_cni::chain::{self, Caller};
use gorae_cni::list::List;
use gorae_cni::{Error as CniError, result};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long an ADD waits for what must end before it: the DEL of another attempt of the pod, the first try of what is owed
/// since before a reboot.
const TURN: Duration = Duration::from_secs(60);

/// What is to be attached to what.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The pod.
    pub pod: Pod<'a>,
    /// The path of its network namespace that plugins are given.
    pub netns: &'a str,
    /// The interface inside.
    pub interface: &'a str,
    /// The network.
    pub list: &'a List,
    /// The values of capabilities.
    pub capabilities: &'a Capabilities,
    /// Where the plugins' programs are.
    pub directories: &'a [PathBuf],
}

impl Attachments {
    /// Attaches a pod, and returns its addresses.
    ///
    /// # Errors
    /// That of the plugin that failed, or of the record. The DEL is owed then, unless nothing was begun; the caller asks
    /// for it with [`remove`](Self::remove), as for any other pod.
    pub async fn add(&self, wish: Wish<'_>) -> Result<Vec<IpAddr>> {
        let record = self.record(&wish)?;
        let (all, pod_id) = (&self.all, wish.pod.id);
        let runner = all.runner(pod_id);
        let caller = Caller { run: &runner, directories: wish.directories };
        // Clients try again every second: each try would owe a DEL that cannot be paid either, for a plugin that never ran.
        caller.are_installed(wish.list).await?;
        let entry = Entry::new(record, &all.entries());
        let turn = tokio::time::timeout(TURN, async {
            all.earlier_boots_are_tried(&entry.record.network).await;
            entry.busy.clone().lock_owned().await
        });
        let _busy = turn.await.map_err(|_| Error::Busy { pod: entry.record.pod_name.clone() })?;
        all.store.write(&entry.record).await?;
        all.entries().insert(pod_id.to_owned(), entry.clone());
        let _gate = all.gate.read().await;
        let added = chain::add(&caller, wish.list, &entry.record.subject(wish.netns)).await?;
        let (version, interface) = (wish.list.version, wish.interface.to_owned());
        let addresses = result::addresses(&added, version, wish.interface).map_err(|why| {
            let kind = wish.list.plugins.last().map(|plugin| plugin.kind().to_owned()).unwrap_or_default();
            CniError::Result { kind, why }
        })?;
        if addresses.is_empty() {
            return Err(CniError::NoAddress { network: wish.list.name.clone(), interface }.into());
        }
        let record = Record { result: Some(added), phase: Phase::Added, ..entry.record };
        all.store.write(&record).await?;
        if let Some(entry) = all.entries().get_mut(pod_id) {
            entry.record = record;
        }
        Ok(addresses)
    }

    fn record(&self, wish: &Wish<'_>) -> Result<Record> {
        Ok(Record {
            pod_id: wish.pod.id.to_owned(),
            pod_name: format!("{}/{}", wish.pod.namespace, wish.pod.name),
            netns: wish.netns.to_owned(),
            interface: wish.interface.to_owned(),
            network: wish.list.name.clone(),
            configuration: String::from_utf8_lossy(&wish.list.to_bytes()).into_owned(),
            arguments: arguments(&wish.pod)?,
            capabilities: wish.capabilities.clone(),
            directories: wish.directories.to_owned(),
            result: None,
            phase: Phase::Adding,
            boot_id: self.all.boot_id.clone(),
            owed_since: 0,
        })
    }
}
