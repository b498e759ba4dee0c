// SPDX-License-Identifier: Apache-2.0
//! Checks what a creation needs on the host before it writes a record: CDI files, devices, profiles and mount sources. It
//! touches paths that are not ours, so it runs as a probe.

use super::order::{self, facts::Facts};
use super::{Record, sources};
use crate::disposable::{self, PlainData};
use crate::error::Result;
use crate::pod::Pod;
use crate::settings::{MissingHostPath, Settings};
use gorae_cdi::{self as cdi, DeviceName};
use gorae_order::wire;
use gorae_proto::shim::Mount;
use std::path::PathBuf;
use std::sync::Arc;

/// The things that are looked at, for the error of a probe that hangs.
pub const LOOKED_AT: &str = "mount sources, devices, CDI files and profiles";

/// The probe's input.
#[derive(Debug)]
struct Input {
    record: Record,
    pod: Arc<Pod>,
    facts: Facts,
    cdi_directories: Vec<PathBuf>,
    cdi_devices: Vec<DeviceName>,
    missing_host_path: MissingHostPath,
}

/// Text, numbers and paths; the pod has no descriptor.
impl PlainData for Input {}

/// The probe's result.
#[derive(Debug)]
struct Checked {
    record: Record,
    parts: Vec<Mount>,
}

/// Text, numbers and paths.
impl PlainData for Checked {}

/// Adds the CDI devices to a record, and builds the order as a start would. Returns the mounts of paths in images, which
/// only a shim can look at.
///
/// # Errors
/// The request's errors: something that it names does not exist, or is not allowed.
pub async fn run(settings: &Settings, facts: Facts, pod: &Arc<Pod>, record: Record) -> Result<(Record, Vec<Mount>)> {
    let input = Input {
        facts,
        pod: pod.clone(),
        cdi_directories: settings.live.borrow().cdi_directories.clone(),
        cdi_devices: cdi::of_request(&record.config)?,
        missing_host_path: settings.missing_host_path,
        record,
    };
    let Checked { record, parts } = disposable::probe_to_the_end(LOOKED_AT, input, look).await?;
    Ok((record, parts))
}

fn look(input: Input) -> Result<Checked> {
    let Input { mut record, pod, facts, cdi_directories, cdi_devices, missing_host_path } = input;
    record.cdi = cdi::resolve(&cdi_directories, &cdi_devices)?;
    order::environment::change(&mut record.process.env, &record.cdi.env);
    let parts = wire::paths_in_images(order::build(&record, &pod, &facts)?);
    sources::check(&record.config, missing_host_path)?;
    Ok(Checked { record, parts })
}
