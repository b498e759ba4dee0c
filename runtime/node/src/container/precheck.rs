// SPDX-License-Identifier: Apache-2.0
//! What a creation looks at on the host before it writes a record: CDI files, devices, profiles and mount sources. It
//! works on paths that are not ours, so it runs as a probe.

use super::spec::{self, Context};
use super::{Record, sources};
use crate::disposable::{self, PlainData};
use crate::error::Result;
use crate::node::Node;
use crate::pod::Pod;
use crate::settings::MissingHostPath;
use gorae_cdi::{self as cdi, DeviceName};
use gorae_proto::shim;
use std::path::PathBuf;
use std::sync::Arc;

/// What is looked at, for the error of a probe that hangs.
pub const LOOKED_AT: &str = "mount sources, devices, CDI files and profiles";

/// All that the probe works with.
#[derive(Debug)]
struct Input {
    record: Record,
    pod: Arc<Pod>,
    context: Context,
    cdi_directories: Vec<PathBuf>,
    cdi_devices: Vec<DeviceName>,
    missing_host_path: MissingHostPath,
}

/// Text, numbers and paths; the pod has no descriptor.
impl PlainData for Input {}

/// Completes a record by its CDI devices, and builds the shim's order as a start would.
///
/// # Errors
/// Those of the request: what it names is not there, or is not allowed.
pub async fn run(node: &Node, pod: &Arc<Pod>, record: Record) -> Result<(Record, shim::Start)> {
    let input = Input {
        context: node.facts().of(pod, &record)?,
        pod: pod.clone(),
        cdi_directories: node.settings.live.borrow().cdi_directories.clone(),
        cdi_devices: cdi::of_request(&record.config)?,
        missing_host_path: node.settings.missing_host_path,
        record,
    };
    disposable::probe_to_the_end(LOOKED_AT, input, look).await
}

fn look(input: Input) -> Result<(Record, shim::Start)> {
    let Input { mut record, pod, context, cdi_directories, cdi_devices, missing_host_path } = input;
    record.cdi = cdi::resolve(&cdi_directories, &cdi_devices)?;
    spec::process::change_environment(&mut record.process.env, &record.cdi.env);
    let order = spec::build(&record, &pod, &context)?;
    sources::check(&record.config, missing_host_path)?;
    Ok((record, order))
}
