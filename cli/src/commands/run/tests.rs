// SPDX-License-Identifier: Apache-2.0

use super::*;
use crate::environment::Environment;
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
        "--network host -p 80:80 img",
        "--name a/b img",
        "-w srv img",
        "--network none img",
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
