// SPDX-License-Identifier: Apache-2.0
//! Subnets of others that the node shows no trace of at the moment: networks that people made, while no pod is in them.

use ipnet::IpNet;
use std::fmt;
use std::sync::Arc;

/// Asked whenever a subnet is chosen: subnets that belong to others, whether the node has a route to them or not.
#[derive(Clone, Default)]
pub struct Others(Option<Arc<dyn Fn() -> Vec<IpNet> + Send + Sync>>);

impl Others {
    /// Those that `subnets` returns each time. It must not block.
    pub fn new(subnets: impl Fn() -> Vec<IpNet> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(subnets)))
    }

    /// Those at this moment.
    pub(crate) fn subnets(&self) -> Vec<IpNet> {
        self.0.as_ref().map(|subnets| subnets()).unwrap_or_default()
    }
}

impl fmt::Debug for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Others").field(&self.subnets()).finish()
    }
}
