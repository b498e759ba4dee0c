// SPDX-License-Identifier: Apache-2.0
//! firewalld: it refuses what pods begin, by a last rule, and lets host ports through.

use super::super::stage::{as_node, sh};
use super::{Stage, install, open, own_table, told};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A system bus for the one test, on which everybody may do everything.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
<allow send_type="method_call"/><allow send_type="signal"/><allow receive_type="method_call"/><allow receive_type="signal"/>
<allow receive_type="method_return"/><allow receive_type="error"/></policy></busconfig>
"#;

/// The daemons. They end with this.
struct Firewalld {
    bus: Child,
    daemon: Child,
}

impl Firewalld {
    fn start() -> Self {
        install(&["python3-nftables", "python3-firewall", "firewalld"]);
        std::fs::create_dir("/run/dbus").expect("a new /run");
        std::fs::write("/run/bus.conf", BUS).expect("written");
        let bus = spawn("dbus-daemon", &["--config-file=/run/bus.conf", "--nofork", "--nopidfile"]);
        until("test -S /run/dbus/system_bus_socket");
        Self { bus, daemon: Self::run() }
    }

    fn run() -> Child {
        let daemon = spawn("firewalld", &["--nofork", "--nopid"]);
        until("firewall-cmd --state");
        daemon
    }

    /// What `systemctl restart` does.
    fn restart(&mut self) {
        end(&mut self.daemon);
        self.daemon = Self::run();
    }
}

impl Drop for Firewalld {
    fn drop(&mut self) {
        end(&mut self.daemon);
        end(&mut self.bus);
    }
}

fn spawn(program: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("tests/setup installs it")
}

/// SIGTERM, upon which firewalld removes its rules.
fn end(child: &mut Child) {
    sh(&format!("kill {}", child.id()));
    child.wait().expect("ended");
}

fn until(condition: &str) {
    let begun = Instant::now();
    while !Command::new("sh").args(["-c", condition]).output().expect("sh runs").status.success() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{condition}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Host ports are open, the rest is not.
const HOST_PORTS: [bool; 6] = [false, false, true, true, false, false];

#[test]
fn firewalld_is_told_with_its_own_command_which_lasts() {
    as_node("distribution::firewalld::firewalld_is_told_with_its_own_command_which_lasts", async |root| {
        let network = open(root, false).await;
        let stage = Stage::set(&network, 12310).await;
        assert_eq!((stage.ways(), told(&network).await), ([true; 6], None));
        let before = own_table();
        let mut firewalld = Firewalld::start();
        assert_eq!(stage.ways(), HOST_PORTS);
        let cure = told(&network).await.expect("told");
        assert!(cure.ends_with("--zone=trusted --add-source=fd00:64::/64 && firewall-cmd --reload"), "{cure}");
        sh(&cure);
        assert_eq!((stage.ways(), told(&network).await), ([true; 6], None));
        for again in ["firewall-cmd --reload", "firewall-cmd --complete-reload"] {
            sh(again);
            assert_eq!((stage.ways(), told(&network).await), ([true; 6], None), "{again}");
        }
        firewalld.restart();
        assert_eq!((stage.ways(), told(&network).await), ([true; 6], None), "restarted");
        assert_eq!(own_table(), before);
    });
}

#[test]
fn what_is_denied_beside_firewalld_stays_denied() {
    as_node("distribution::firewalld::what_is_denied_beside_firewalld_stays_denied", async |root| {
        let network = open(root, false).await;
        let stage = Stage::set(&network, 12311).await;
        let _firewalld = Firewalld::start();
        // A zone's ports and rules are for what is addressed to the node, or to pods without a translation.
        sh(
            "firewall-cmd --permanent --add-rich-rule='rule port port=12311 protocol=tcp drop' && firewall-cmd --reload",
        );
        assert_eq!(stage.host_port(), [true; 2]);
        let rule = "meta l4proto tcp ct original proto-dst 12311 drop";
        let table = own_table().split_whitespace().nth(2).expect("its name").to_owned();
        sh(&format!("nft add rule inet {table} user_forward {rule}"));
        assert_eq!(stage.host_port(), [false; 2]);
        sh("firewall-cmd --reload");
        assert_eq!(stage.host_port(), [false; 2], "reloaded");
        sh(&format!("nft flush chain inet {table} user_forward"));
        assert_eq!(stage.host_port(), [true; 2]);
        // firewalld's own way.
        let direct = "FORWARD 0 -p tcp -m conntrack --ctorigdstport 12311 -j DROP";
        sh(&format!(
            "for family in ipv4 ipv6; do firewall-cmd --permanent --direct --add-rule $family filter {direct}; done
             firewall-cmd --reload"
        ));
        assert_eq!(stage.host_port(), [false; 2], "by a direct rule");
    });
}

#[test]
fn open_forward_gets_past_firewalld_and_past_its_reload() {
    as_node("distribution::firewalld::open_forward_gets_past_firewalld_and_past_its_reload", async |root| {
        let _firewalld = Firewalld::start();
        let network = open(root, true).await;
        let stage = Stage::set(&network, 12312).await;
        assert_eq!((stage.ways(), told(&network).await), ([true; 6], None));
        sh("firewall-cmd --reload");
        assert_eq!(stage.ways(), HOST_PORTS, "firewalld wrote its table anew");
        assert_eq!((told(&network).await, stage.ways()), (None, [true; 6]));
    });
}
