// SPDX-License-Identifier: Apache-2.0
//! ufw: its default drops what is forwarded.

use super::super::stage::{as_node, sh};
use super::{Stage, install, open, own_table, told};

/// What ufw's package does when it is installed, then the administrator.
fn enable() {
    install(&["ufw"]);
    sh("cd /usr/share/ufw && cp iptables/*.rules *.init ufw.conf /etc/ufw/ && chmod 640 /etc/ufw/*.rules /etc/ufw/*.init
        ufw --force enable");
}

#[test]
fn ufws_default_is_told_with_its_own_commands_which_last() {
    as_node("distribution::ufw::ufws_default_is_told_with_its_own_commands_which_last", async |root| {
        let network = open(root, false).await;
        let stage = Stage::set(&network, 12300).await;
        assert_eq!((stage.ways(), told(&network).await), ([true; 6], None));
        let before = own_table();
        enable();
        assert_eq!(stage.ways(), [false; 6]);
        let cure = told(&network).await.expect("told");
        assert_eq!(
            cure,
            "ufw route allow from 10.64.0.0/20 && ufw route allow to 10.64.0.0/20 && \
             ufw route allow from fd00:64::/64 && ufw route allow to fd00:64::/64"
        );
        sh(&cure);
        assert_eq!((stage.ways(), told(&network).await), ([true; 6], None));
        for again in ["ufw reload", "ufw --force disable && ufw --force enable", "/lib/ufw/ufw-init force-reload"] {
            sh(again);
            assert_eq!((stage.ways(), told(&network).await), ([true; 6], None), "{again}");
            assert_eq!(own_table(), before, "{again}");
        }
    });
}

#[test]
fn what_ufw_denies_on_the_way_to_pods_stays_denied() {
    as_node("distribution::ufw::what_ufw_denies_on_the_way_to_pods_stays_denied", async |root| {
        let network = open(root, false).await;
        let stage = Stage::set(&network, 12301).await;
        enable();
        sh(&told(&network).await.expect("told"));
        assert_eq!(stage.host_port(), [true; 2]);
        // A rule for what is addressed to the node sees none of it.
        sh("ufw deny 12301/tcp; ufw deny 80/tcp");
        assert_eq!(stage.host_port(), [true; 2]);
        for [ip, prepend] in
            [[stage.served[0].to_string(), "insert 1".into()], [stage.served[1].to_string(), "prepend".into()]]
        {
            sh(&format!("ufw route {prepend} deny in on eth7 proto tcp to {ip} port 80"));
        }
        assert_eq!(stage.ways(), [true, true, false, false, true, true]);
        sh("ufw reload");
        assert_eq!(stage.ways(), [true, true, false, false, true, true]);
        assert_eq!(told(&network).await, None, "one rule for one port is no obstacle");
    });
}

#[test]
fn open_forward_gets_past_ufw_and_past_its_reload() {
    as_node("distribution::ufw::open_forward_gets_past_ufw_and_past_its_reload", async |root| {
        enable();
        let network = open(root, true).await;
        let stage = Stage::set(&network, 12302).await;
        assert_eq!((stage.ways(), told(&network).await), ([true; 6], None));
        sh("ufw reload");
        assert_eq!((told(&network).await, stage.ways()), (None, [true; 6]));
    });
}
