// SPDX-License-Identifier: Apache-2.0
//! The arguments of `gorae run`.

use crate::pulling::Pull;

/// The end of `gorae run --help`.
const EXAMPLES: &str = "\
Examples:
  gorae run -it --rm busybox sh               A shell; the container goes when it ends
  gorae run --rm -v ./data:/data IMAGE ls     A command that sees a local directory
  gorae run -d -p 127.0.0.1:8080:80 httpd     A server in the background, on a local port
  gorae run -d --network NETWORK --name db …  A container that others in NETWORK find as db
  gorae run -m 512m --cpus 1.5 -e A=1 IMAGE   Limits, and a variable";

/// The arguments of `run`. `-h` is the host name here, as with Docker.
// The docs are the help on a terminal: the brackets in them are not links.
#[allow(rustdoc::broken_intra_doc_links)]
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub struct Args {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub(super) help: Option<bool>,
    /// Run in the background and print the container's id
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub(super) interactive: bool,
    /// Give the container a terminal (use -it for a shell)
    #[arg(short, long)]
    pub(super) tty: bool,
    /// Remove the container when it exits
    #[arg(long)]
    pub(super) rm: bool,
    /// Name of the container; two random words by default
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Publish a port of the container: [IP:]HOST:CONTAINER[/tcp|udp|sctp]
    #[arg(short, long, value_name = "PORT")]
    pub(super) publish: Vec<String>,
    /// Mount a path of this machine in the container: HOST:CONTAINER[:ro]
    #[arg(short, long, value_name = "VOLUME")]
    pub(super) volume: Vec<String>,
    /// Set an environment variable: KEY=VALUE, or KEY to pass on the value of this shell
    #[arg(short, long, value_name = "VARIABLE")]
    pub(super) env: Vec<String>,
    /// Read environment variables from a file, one per line
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Vec<std::path::PathBuf>,
    /// Set a label of the container: KEY=VALUE
    #[arg(short, long, value_name = "LABEL")]
    pub(super) label: Vec<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIRECTORY")]
    pub(super) workdir: Option<String>,
    /// Run as this user: UID[:GID] or NAME[:GID]
    #[arg(short, long)]
    pub(super) user: Option<String>,
    /// Run this instead of the image's entrypoint
    #[arg(long, value_name = "COMMAND")]
    pub(super) entrypoint: Option<String>,
    /// Host name in the container; derived from the name by default
    #[arg(short = 'h', long)]
    pub(super) hostname: Option<String>,
    /// Network of the container: NAME (see `gorae network create`; may be repeated), default, none, host for that of this
    /// machine, container:NAME for that of another container; name=NAME,ip=…,ip6=…,alias=…,mac-address=…,gw-priority=… to
    /// say more
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    pub(super) network: Vec<String>,
    /// Another name by which containers in the same network find this one
    #[arg(long, alias = "net-alias", value_name = "NAME")]
    pub(super) network_alias: Vec<String>,
    /// Address in the network, out of a subnet that was given to `gorae network create`
    #[arg(long, value_name = "ADDRESS")]
    pub(super) ip: Option<String>,
    /// IPv6 address in the network
    #[arg(long, value_name = "ADDRESS")]
    pub(super) ip6: Option<String>,
    /// Hardware address in the network, such as 02:42:ac:11:00:02
    #[arg(long, value_name = "ADDRESS")]
    pub(super) mac_address: Option<String>,
    /// Use this DNS server instead of those of this machine
    #[arg(long, value_name = "ADDRESS")]
    pub(super) dns: Vec<String>,
    /// Look short names up in this domain too, instead of in those of this machine; "." for none
    #[arg(long, value_name = "DOMAIN")]
    pub(super) dns_search: Vec<String>,
    /// Set an option of resolv.conf, such as ndots:2
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    pub(super) dns_option: Vec<String>,
    /// Add a line to the hosts file: NAME:ADDRESS, or NAME:host-gateway for an address of this machine
    #[arg(long, value_name = "HOST")]
    pub(super) add_host: Vec<String>,
    /// Not supported: containers in a network find each other by name
    #[arg(long, value_name = "CONTAINER", hide = true)]
    pub(super) link: Vec<String>,
    /// Memory limit, such as 512m or 1.5g; 0 for no limit
    #[arg(short, long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(super) memory: Option<String>,
    /// Limit of processor time, such as 1.5 for one and a half processors; 0 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(super) cpus: Option<String>,
    /// Make the root file system of the container read-only
    #[arg(long)]
    pub(super) read_only: bool,
    /// Add a Linux capability, such as NET_ADMIN, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub(super) cap_add: Vec<String>,
    /// Drop a Linux capability, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub(super) cap_drop: Vec<String>,
    /// Run without any confinement: all capabilities and devices, no seccomp
    #[arg(long)]
    pub(super) privileged: bool,
    /// Not supported: containers are not restarted
    #[arg(long, value_name = "POLICY", hide = true)]
    pub(super) restart: Option<String>,
    /// When to pull the image: always, missing (when it is not on this machine), or never
    #[arg(long, value_enum, default_value_t = Pull::Missing, value_name = "WHEN", hide_possible_values = true)]
    pub(super) pull: Pull,
    /// Image, then the command to run in it and its arguments; by default the command of the image
    #[arg(required = true, trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"])]
    pub(super) image_and_command: Vec<String>,
}
