// SPDX-License-Identifier: Apache-2.0
//! Whether a chain for forwarded packets is ufw's: then `ufw route` has the last word. A rule of iptables before all of ufw's
//! would be gone after a reboot, and would let through what `ufw route deny` keeps out.

use super::step::Act;
use super::walk::Chains;
use std::collections::HashSet;

/// The chains that `ufw route` writes: for IPv4, and for IPv6.
const ROUTES: [&str; 2] = ["ufw-user-forward", "ufw6-user-forward"];

/// Whether rules lead from this chain to one that `ufw route` writes. A ufw that is disabled leaves its chains behind, but no
/// way there.
pub fn decides(chains: &Chains, start: &str) -> bool {
    let (mut seen, mut next) = (HashSet::new(), vec![start]);
    while let Some(chain) = next.pop() {
        if ROUTES.contains(&chain) {
            return true;
        }
        if seen.insert(chain) {
            next.extend(chains.get(chain).into_iter().flatten().filter_map(|step| match &step.act {
                Act::Jump(to) | Act::Goto(to) => Some(to.as_str()),
                _ => None,
            }));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::iptables_text::chains;
    use super::*;

    #[test]
    fn ufw_decides_where_a_rule_leads_to_its_chain() {
        let rest = "-A ufw-before-forward -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A ufw-before-forward -j ufw-user-forward
            -A ufw-user-forward -j ufw-before-forward\n-A INPUT -j ufw-user-forward";
        let decided = |rule: &str| decides(&chains(&format!("-P FORWARD DROP\n{rule}\n{rest}")), "FORWARD");
        assert!(decided("-A FORWARD -j ufw-before-forward"));
        assert!(!decided("-A FORWARD -j ACCEPT"), "ufw is disabled");
        assert!(!decided("-A FORWARD -j ufw-after-forward"));
    }
}
