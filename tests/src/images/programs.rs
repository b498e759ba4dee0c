// SPDX-License-Identifier: Apache-2.0
//! The static C programs of the images, compiled with the host's gcc.

use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// One program: its name and its source.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    name: &'static str,
    source: &'static str,
}

/// A web server, a sleeper, a printer: see the head of `programs/tiny.c`.
pub const TINY: Program = Program { name: "tiny", source: include_str!("programs/tiny.c") };
/// Waits for SIGTERM.
pub const PAUSE: Program = Program { name: "pause", source: include_str!("programs/pause.c") };
/// Prints its effective user; its image sets the set-user-ID bit.
pub const NNP: Program = Program { name: "nnp", source: include_str!("programs/nnp.c") };
/// Looks at all processes in its sight for what is of the node: see the head of `programs/spy.c`. In no image.
pub const SPY: Program = Program { name: "spy", source: include_str!("programs/spy.c") };

impl Program {
    /// Compiles the program in a directory of its own and returns its bytes.
    ///
    /// The result is the same for the same compiler: no build id, no paths, no debug information.
    ///
    /// # Errors
    /// When gcc or the static C library is missing, with gcc's own words.
    pub fn compile(self) -> Result<Vec<u8>> {
        let dir = tempfile::tempdir()?;
        let (source, binary) = (dir.path().join("program.c"), dir.path().join(self.name));
        std::fs::write(&source, self.source)?;
        let gcc = Command::new("gcc")
            .args(["-Os", "-static", "-s", "-Wall", "-Werror", "-Wl,--build-id=none", "-o"])
            .args([Path::new(&binary), &source])
            .output()
            .context("run gcc (Debian package gcc; libc6-dev for the static library)")?;
        ensure!(gcc.status.success(), "compile {}: {}", self.name, String::from_utf8_lossy(&gcc.stderr));
        Ok(std::fs::read(binary)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_source_compiles_to_the_same_bytes() {
        assert_eq!(PAUSE.compile().unwrap(), PAUSE.compile().unwrap());
    }
}
