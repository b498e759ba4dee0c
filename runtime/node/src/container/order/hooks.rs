// SPDX-License-Identifier: Apache-2.0
//! The hooks of a container, which only CDI devices add.

use crate::container::Record;
use crate::error::{Error, Result};
use gorae_cdi as cdi;
use gorae_order::hooks::{Hook, Point};
use gorae_order::wire;
use gorae_proto::shim;
use std::time::Duration;

/// Builds all hooks, in order for each point.
///
/// # Errors
/// `InvalidArgument` for an unknown point of a container's life.
pub fn all(record: &Record) -> Result<Vec<Hook<'_>>> {
    record.cdi.hooks.iter().map(one).collect()
}

fn one(asked: &cdi::Hook) -> Result<Hook<'_>> {
    let Some(point) = Point::parse(&asked.hook_name) else {
        let (path, name) = (&asked.path, &asked.hook_name);
        return Err(Error::invalid(format!("CDI hook {path}: {name:?} is not a point of a container's life")));
    };
    Ok(at(point, asked))
}

/// The hooks that a clean-up after a lost shim has to run; `None` when there are none.
pub fn after_the_end(record: &Record, run_dir: &str) -> Option<shim::Hooks> {
    let name = Point::Poststop.name();
    let due = record.cdi.hooks.iter().filter(|asked| asked.hook_name == name);
    let due: Vec<_> = due.map(|asked| at(Point::Poststop, asked)).collect();
    // The bundle exists already, or the container had none.
    (!due.is_empty()).then(|| wire::hooks(&record.id, &record.config.annotations, run_dir, &due, Vec::new()))
}

fn at(point: Point, asked: &cdi::Hook) -> Hook<'_> {
    let timeout = asked.timeout.map(|seconds| Duration::from_secs(seconds.into()));
    Hook { point, path: &asked.path, args: &asked.args, env: &asked.env, timeout }
}
