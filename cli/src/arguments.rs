// SPDX-License-Identifier: Apache-2.0
//! The command line as a whole: the options of every command, and the command.

use crate::commands::Command;
use crate::output::Format;
use clap::Parser;

/// Run containers.
#[derive(Debug, Parser)]
#[command(name = "gorae", version, disable_version_flag = true, max_term_width = 100)]
pub struct Arguments {
    /// Print the version
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
    /// The daemon's socket [default: $GORAE_HOST, or unix:///run/gorae/gorae.sock]
    #[arg(short = 'H', long, global = true, value_name = "unix:///PATH")]
    pub host: Option<String>,
    /// How to print results
    #[arg(long, global = true, value_enum, default_value_t)]
    pub format: Format,
    /// Print ids only, and no remarks
    #[arg(short, long, global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}
