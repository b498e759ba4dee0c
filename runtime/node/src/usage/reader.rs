// SPDX-License-Identifier: Apache-2.0
//! What a reading task needs. It is shared, because the task goes on when its client has gone away.

use crate::machine::Machine;
use crate::objects::Objects;
use gorae_stats::Stats;
use std::sync::Arc;

/// Reads usage numbers.
#[derive(Debug)]
pub struct Usage {
    /// The pods and containers that can be read.
    pub(crate) objects: Arc<Objects>,
    /// Where their files are.
    pub(crate) machine: Arc<Machine>,
    /// The reader of the kernel's files.
    pub(crate) stats: Stats,
}
