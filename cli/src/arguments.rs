// SPDX-License-Identifier: Apache-2.0
//! The command line as a whole: the options that every command has, and the command.

use crate::commands::Command;
use crate::output::Format;
use clap::Parser;

/// The end of `gorae --help`.
const EXAMPLES: &str = "\
Examples:
  gorae run -it --rm busybox sh              A shell in a new container
  gorae run -d --name web -p 8080:80 httpd   A web server in the background
  gorae logs -f web                          Follow its output
  gorae exec -it web sh                      Open a shell in the same container
  gorae rm -f web                            Kill and remove it

See `gorae COMMAND --help` for the options of a command.";

/// The heading of the options that every command has.
const GLOBAL: &str = "Options of every command";

/// Run containers, with the commands you know from Docker
#[derive(Debug, Parser)]
#[command(name = "gorae", version, disable_version_flag = true, max_term_width = 100, after_help = EXAMPLES)]
pub struct Arguments {
    /// Print the version
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
    /// Socket of the daemon [default: $GORAE_HOST, or unix:///run/gorae/gorae.sock]
    #[arg(short = 'H', long, global = true, value_name = "unix:///PATH", help_heading = GLOBAL)]
    pub host: Option<String>,
    /// Format of the results: table for people, json for programs
    #[arg(long, global = true, value_enum, default_value_t, hide_possible_values = true, help_heading = GLOBAL)]
    pub format: Format,
    /// Print only ids, without progress or remarks
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}
