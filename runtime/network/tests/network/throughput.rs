// SPDX-License-Identifier: Apache-2.0
//! What a TCP stream carries from pod to pod, beside the same over a bridge that is made by hand, with the node's settings for
//! both: with br_netfilter, packets pass the rules on a bridge, too. Needs a quiet machine.

use super::stage::{as_node, bridged, inside, pod};
use gorae_network::{Network, NetworkConfig};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// How long each stream sends. Short rounds alternate faster than a busy machine changes its load.
const ROUND: Duration = Duration::from_millis(200);
/// How much of the bridge's throughput the routes must reach. The aim is 0.95; on a busy machine medians differ by some 0.05 from
/// run to run.
const LEAST: f64 = 0.9;

/// How often each way is measured, alternately with its counterpart. `GORAE_TEST_ROUNDS` changes it.
fn rounds() -> usize {
    std::env::var("GORAE_TEST_ROUNDS").ok().and_then(|number| number.parse().ok()).unwrap_or(100)
}

/// Sends for a round from one namespace to an address in another; returns Gbit/s as the receiver counts them.
fn stream(from: &'static str, to: &'static str, address: IpAddr) -> f64 {
    let listener = inside(to, move || TcpListener::bind(SocketAddr::new(address, 0)).expect("free port"));
    let at = listener.local_addr().expect("its address");
    let sender = std::thread::spawn(move || {
        let mut stream = inside(from, move || TcpStream::connect(at).expect("connected"));
        let (begun, chunk) = (Instant::now(), vec![0_u8; 128 << 10]);
        while begun.elapsed() < ROUND {
            stream.write_all(&chunk).expect("sent");
        }
    });
    let (mut receiver, _) = listener.accept().expect("a sender");
    let (begun, mut bytes, mut buffer) = (Instant::now(), 0, vec![0; 256 << 10]);
    loop {
        match receiver.read(&mut buffer).expect("received") {
            0 => break,
            read => bytes += read,
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    sender.join().expect("no panic");
    f64::from(u32::try_from(bytes >> 10).expect("less than 4 TiB")) * 8192.0 / seconds / 1e9
}

fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}

/// Medians of both ways, measured alternately; which goes first alternates, too.
fn compare(ours: [&'static str; 2], ours_at: IpAddr, theirs: [&'static str; 2], theirs_at: IpAddr) -> [f64; 2] {
    let mut measured = [Vec::new(), Vec::new()];
    for round in 0..rounds() {
        for which in [round % 2, 1 - round % 2] {
            let ([from, to], at) = if which == 0 { (ours, ours_at) } else { (theirs, theirs_at) };
            measured[which].push(stream(from, to, at));
        }
    }
    measured.map(median)
}

#[test]
#[ignore = "takes minutes on a quiet machine: `make speed`"]
fn pods_reach_each_other_about_as_fast_as_over_a_bridge_made_by_hand() {
    as_node("throughput::pods_reach_each_other_about_as_fast_as_over_a_bridge_made_by_hand", async |root| {
        let config = NetworkConfig { subnet6: Some("fd00:64::/64".parse().expect("net")), ..Default::default() };
        let network = Network::open(config, root, &[]).await.expect("network");
        let ours = [pod(&network, "a", &[]).await.ips, pod(&network, "b", &[]).await.ips];
        let theirs = [bridged("c", 2), bridged("d", 3)];
        let mut slow = Vec::new();
        for family in 0..2 {
            for (from, to, way) in [(0, 1, "there"), (1, 0, "back")] {
                let (pods, others) = (["a", "b"], ["c", "d"]);
                let [routed, bridged] =
                    compare([pods[from], pods[to]], ours[to][family], [others[from], others[to]], theirs[to][family]);
                let said = format!(
                    "{way}, to {}: {routed:.1} Gbit/s, over a bridge {bridged:.1}: {:.3}",
                    ours[to][family],
                    routed / bridged
                );
                println!("{said}");
                if routed < LEAST * bridged {
                    slow.push(said);
                }
            }
        }
        assert!(slow.is_empty(), "less than {LEAST} of a bridge: {slow:#?}");
    });
}
