// SPDX-License-Identifier: Apache-2.0
//! The settings that every command gets.

use crate::client::Client;
use crate::environment::Environment;
use crate::output::Output;
use anyhow::Result;

/// The settings of one run of the program: they hold for every command.
#[derive(Debug)]
pub struct Context {
    /// Where the daemon listens, as `unix:///PATH` or an absolute path; not checked yet.
    pub host: String,
    /// How results are printed.
    pub output: Output,
    /// The variables and the directory that the program was started with.
    pub environment: Environment,
}

impl Context {
    /// Connects to the daemon.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect(&self) -> Result<Client> {
        Client::connect(&self.host).await
    }
}
