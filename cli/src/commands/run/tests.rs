// SPDX-License-Identifier: Apache-2.0

use super::*;
use crate::environment::Environment;
use crate::parse::network::{Network, Wish};
use crate::run_spec::RunSpec;
use clap::Parser;

#[derive(Debug, Parser)]
struct Typed {
    #[command(flatten)]
    args: Args,
}

fn typed(words: &str) -> Result<RunSpec> {
    let words = std::iter::once("run").chain(words.split(' '));
    spec(&Typed::try_parse_from(words)?.args, &Environment::read())
}

#[test]
fn everything_after_the_image_is_the_command() {
    let spec = typed("-i --name a -p 80:80 busybox sh -c -i --name --rm -p").expect("valid");
    assert_eq!(spec.image, "busybox");
    assert_eq!(spec.args, ["sh", "-c", "-i", "--name", "--rm", "-p"]);
    assert_eq!((spec.name.as_str(), spec.ports.len(), spec.stdin), ("a", 1, true));
}

#[test]
fn h_is_the_host_name() {
    assert_eq!(typed("-h box -i busybox").expect("valid").hostname.as_deref(), Some("box"));
    assert_eq!(typed("-hbox busybox ls -h").expect("valid").hostname.as_deref(), Some("box"));
    assert!(typed("-h").is_err());
    let help = Typed::try_parse_from(["run", "--help"]).expect_err("help");
    assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp);
}

#[test]
fn an_option_that_does_not_exist_is_not_an_image() {
    assert!(typed("--bogus busybox").is_err());
    assert!(typed("-d").is_err());
}

#[test]
fn combined_short_options_work_as_with_docker() {
    let spec = typed("-it -eA=1 -e B=2 -w /srv -u 5:6 -m 64m --cpus .5 --cap-drop all --cap-add cap_chown img")
        .expect("valid");
    assert!(spec.stdin && spec.tty && spec.stdin_once);
    assert_eq!((spec.variables.len(), spec.memory, spec.cpu_quota), (2, Some(64 << 20), Some(50_000)));
    assert_eq!((spec.added, spec.dropped), (vec!["CHOWN".to_owned()], vec!["ALL".to_owned()]));
    let unlimited = typed("-m 0 --cpus 0 img").expect("valid");
    assert_eq!((unlimited.memory, unlimited.cpu_quota), (None, None));
}

#[test]
fn what_makes_no_sense_is_refused_before_the_daemon_is_asked() {
    for words in [
        "-p 80:80 -p 80:81 img",
        "--name a/b img",
        "-w srv img",
        "--network a/b img",
        "-m 1 img",
        "-m -1 img",
        "--cpus -1 img",
        "-u a:b img",
        "--hostname -x img",
        "-l dev.gorae.name=x img",
        "-v data:/srv img",
    ] {
        assert!(typed(words).is_err(), "{words:?} was taken");
    }
    assert!(typed("-p 80:80 -p 80:80/udp img").is_ok());
}

#[test]
fn restart_policies_are_refused_with_the_way_out() {
    let args = |words: &str| Typed::try_parse_from(words.split(' ')).expect("parses").args;
    assert!(foreground(&args("run --restart always img")).expect_err("refused").to_string().contains("systemd"));
    assert!(foreground(&args("run --restart no -d img")).expect("fine").is_none());
}

#[test]
fn dockers_words_for_networks_have_their_meaning() {
    for (words, network) in [
        ("img", Network::Own),
        ("--network default img", Network::Own),
        ("--net bridge img", Network::Own),
        ("--net=host img", Network::Host),
        ("--network none img", Network::None),
        ("--network container:db img", Network::Container("db".into())),
        ("--network name=host img", Network::Host),
    ] {
        assert_eq!(typed(words).expect(words).network, network, "{words}");
    }
}

fn wishes(words: &str) -> Vec<Wish> {
    match typed(words).expect(words).network {
        Network::Made(wishes) => wishes,
        other => panic!("{words}: {other:?}"),
    }
}

#[test]
fn options_without_a_network_in_them_are_about_the_first_one() {
    let asked = wishes(
        "--network back --network name=front,alias=www,gw-priority=1 --network-alias db --net-alias store --ip 10.1.0.9 \
         --ip6 fd00::9 --mac-address 02:00:00:00:00:01 img",
    );
    assert_eq!((asked[0].network.as_str(), asked[0].aliases.join(" ").as_str()), ("back", "db store"));
    assert_eq!((asked[0].ipv4, asked[0].ipv6), ("10.1.0.9".parse().ok(), "fd00::9".parse().ok()));
    assert_eq!(asked[0].mac, Some([2, 0, 0, 0, 0, 1]));
    assert_eq!((asked[1].network.as_str(), asked[1].aliases.join(" ").as_str()), ("front", "www"));
    assert_eq!((asked[1].ipv4, asked[1].gateway_priority), (None, Some(1)));
    let with_default: Vec<String> =
        wishes("--network back --network default img").into_iter().map(|w| w.network).collect();
    assert_eq!(with_default, ["back", "bridge"]);
}

#[test]
fn networks_that_exclude_each_other_or_an_option_are_refused() {
    for (words, said) in [
        ("--network host --network back img", "--network host cannot be combined with another network"),
        ("--network back --network default --network bridge img", "network bridge is given twice"),
        ("--network back --network name=bridge,ip=10.1.0.2 img", "an address of your choice is not possible"),
        ("--network back --network name=back,alias=a img", "network back is given twice"),
        ("--network name=back,ip=10.1.0.2 --ip 10.1.0.3 img", "--ip cannot be combined"),
        ("--network name=back,alias=a --network-alias b img", "--network-alias cannot be combined"),
        ("--network-alias db img", "a network alias is not possible in network \"default\""),
        ("--ip 10.1.0.9 img", "an address of your choice is not possible"),
        ("--net host --ip6 fd00::9 img", "an address of your choice is not possible"),
        ("--net none --mac-address 02:00:00:00:00:01 img", "a hardware address of your choice is not possible"),
        ("--net name=bridge,gw-priority=1 img", "a gateway priority is not possible"),
        ("--net container:db -h box img", "--hostname is not possible with --network container:db"),
        ("--net container:db -p 80:80 img", "-p is not possible"),
        ("--net container:db --dns 9.9.9.9 img", "--dns is not possible"),
        ("--net container:db --dns-search a.b img", "--dns-search is not possible"),
        ("--net container:db --dns-opt ndots:1 img", "--dns-option is not possible"),
        ("--net container:db --add-host a:1.2.3.4 img", "--add-host is not possible"),
        ("--net none -p 80:80 img", "-p is not possible with --network none"),
        ("--net container: img", "the form is container:NAME"),
        ("--ip fd00::9 --net back img", "bad --ip"),
        ("--dns google img", "bad DNS server"),
        ("--add-host db img", "bad host \"db\""),
        ("--link db img", "--link is not supported"),
    ] {
        let error = format!("{:#}", typed(words).expect_err(words));
        assert!(error.contains(said), "{words}: {error}");
    }
}

#[test]
fn published_ports_without_effect_are_dropped_with_a_remark_as_with_docker() {
    for (words, kept) in [("-p 80:80 img", true), ("-p 80:80 --net back img", true), ("-p 80:80 --net host img", false)]
    {
        let args = Typed::try_parse_from(std::iter::once("run").chain(words.split(' '))).expect(words).args;
        let spec = spec(&args, &Environment::read()).expect(words);
        assert_eq!(!spec.ports.is_empty(), kept, "{words}");
        assert_eq!(network::ignored_ports(&args, &spec.network).is_none(), kept, "{words}");
    }
    assert!(typed("--net host -p nonsense img").is_err(), "a port is checked all the same");
}

#[test]
fn names_are_looked_up_as_asked_in_every_network() {
    let lists = "--dns 9.9.9.9 --dns fd00::53 --dns-search . --dns-opt ndots:2 --add-host db:10.0.0.5";
    for network in ["default", "host", "none", "back"] {
        let spec = typed(&format!("--net {network} {lists} img")).expect(network);
        assert_eq!(spec.dns.servers, ["9.9.9.9", "fd00::53"]);
        assert_eq!((spec.dns.searches, spec.dns.options), (vec![".".to_owned()], vec!["ndots:2".to_owned()]));
        assert_eq!(spec.hosts[0].address, "10.0.0.5");
    }
}
