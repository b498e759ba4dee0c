// SPDX-License-Identifier: Apache-2.0
//! Firewalls of others: the scripts that load them.

/// A way to drop what is forwarded, and what the message calls it.
pub const FIREWALLS: [(&str, &str); 4] = [
    ("iptables-nft -P FORWARD DROP", "chain FORWARD of table ip filter"),
    ("iptables-legacy -P FORWARD DROP", "chain FORWARD of iptables-legacy"),
    (
        "nft add table ip fw; nft 'add chain ip fw forwarded { type filter hook forward priority 0; policy drop; }'",
        "chain forwarded of table ip fw",
    ),
    (
        "nft add table inet fw; nft 'add chain inet fw passing { type filter hook forward priority -5; policy drop; }'
         nft add rule inet fw passing ct state established accept",
        "chain passing of table inet fw",
    ),
];

/// The same with a last rule instead of a policy.
pub const REFUSING: [(&str, &str); 4] = [
    (
        "iptables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
         iptables-nft -A FORWARD -m comment --comment rest -j REJECT --reject-with icmp-host-prohibited",
        "chain FORWARD of table ip filter",
    ),
    (
        "iptables-legacy -A INPUT -s 10.64.0.0/20 -j ACCEPT
         iptables-legacy -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
         iptables-legacy -A FORWARD -j REJECT",
        "chain FORWARD of iptables-legacy",
    ),
    (
        "nft 'add table ip fw; add chain ip fw forwarded { type filter hook forward priority 0; }'
         nft 'add rule ip fw forwarded counter log prefix \"accept\" drop'",
        "chain forwarded of table ip fw",
    ),
    (
        "nft 'add table inet fw; add chain inet fw passing { type filter hook forward priority -5; }'
         nft 'add rule inet fw passing ct state vmap { established : accept, related : accept, invalid : drop }'
         nft 'add chain inet fw idle; add rule inet fw idle ip saddr 10.64.0.0/20 accept'
         nft 'add rule inet fw passing reject with icmpx admin-prohibited'",
        "chain passing of table inet fw",
    ),
];

/// What firewalld makes for forwarded packets, shortened; interfaces are in its zone "public".
pub const FIREWALLD: &str = "table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept;
        ct status dnat accept;
        iifname \"lo\" accept;
        ct state invalid drop;
        ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24 } reject with icmpv6 addr-unreachable;
        jump filter_FORWARD_ZONES;
        reject with icmpx admin-prohibited;
    };
    chain filter_FORWARD_ZONES { iifname \"eth7\" goto filter_FWD_public; goto filter_FWD_public; };
    chain filter_FWD_public {
        jump filter_FWD_public_allow;
        meta l4proto { icmp, ipv6-icmp } accept;
        reject with icmpx admin-prohibited;
    };
    chain filter_FWD_public_allow { };
    chain filter_FWD_trusted { accept; };
}";
