// SPDX-License-Identifier: Apache-2.0
//! The container's stdin, stdout and stderr.

use crate::descriptor::duplicate;
use crate::failure::{self, Result};
use crate::io::{self, Ends};
use crate::malformed::Malformed;
use crate::mounts::Plan;
use crate::null;
use crate::order::Order;
use crate::terminal;
use rustix::fs::OFlags;
use std::os::fd::OwnedFd;

/// Makes the streams, owned by the container's user, and the shim's ends of them.
///
/// # Errors
/// The kernel's error; `InvalidArgument` for a terminal without a devpts.
pub fn make(order: &Order, plan: &Plan<'_>, null: &OwnedFd, host_uid: u32) -> Result<(Ends, [OwnedFd; 3])> {
    let (ends, streams) = if order.process.terminal { terminal_streams(plan)? } else { pipes(order.stdin, null)? };
    for stream in &streams {
        terminal::give_to(stream, host_uid)?;
    }
    Ok((ends, streams))
}

fn terminal_streams(plan: &Plan<'_>) -> Result<(Ends, [OwnedFd; 3])> {
    let devpts = plan.devpts.as_ref();
    let devpts = devpts.ok_or_else(|| Malformed::new("mounts", "a terminal needs a devpts mount"))?;
    let pair = terminal::open(devpts, None)?;
    let copies = [duplicate(&pair.slave, "terminal")?, duplicate(&pair.slave, "terminal")?, pair.slave];
    Ok((Ends::Terminal { master: pair.master }, copies))
}

fn pipes(stdin: bool, null: &OwnedFd) -> Result<(Ends, [OwnedFd; 3])> {
    let input = if stdin { None } else { Some(null::open(null, OFlags::RDONLY)?) };
    let (ends, child) = io::pipes(input).map_err(|e| failure::kernel("make pipe", "stdio", e))?;
    Ok((ends, [child.stdin, child.stdout, child.stderr]))
}
