// SPDX-License-Identifier: Apache-2.0
//! What operators see of a node: metrics, health, and the log with its level, format and traces.

mod bounds;
mod health;
mod log;
mod metrics;

use gorae_tests::Node;
use gorae_tests::testing::soon;
use std::net::SocketAddr;

/// The address of a listener that was told to take any port.
async fn address(node: &Node) -> SocketAddr {
    soon("the daemon says where operators go", async || {
        let log = node.daemon().log();
        let line = log.lines().find(|line| line.contains("serving operators"))?.to_owned();
        line.split("address=").nth(1)?.trim().parse().ok()
    })
    .await
}

/// The value of a sample of a page, as it is written.
fn sample<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}
