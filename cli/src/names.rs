// SPDX-License-Identifier: Apache-2.0
//! Generated names: two words for a container without a name, and a uid for its pod.

use anyhow::{Context, Result};
use std::io::Read;

const FIRST: [&str; 32] = [
    "amber", "bold", "brave", "breezy", "bright", "brisk", "calm", "clever", "coral", "cosy", "daring", "eager",
    "frosty", "gentle", "golden", "happy", "humble", "jolly", "keen", "lively", "lucky", "mellow", "misty", "nimble",
    "proud", "quiet", "rapid", "silver", "steady", "sunny", "swift", "witty",
];
const SECOND: [&str; 32] = [
    "anchor", "barnacle", "beacon", "beluga", "buoy", "clam", "coral", "crab", "cutter", "dolphin", "eddy", "ferry",
    "gull", "harbor", "heron", "island", "kelp", "lagoon", "minke", "narwhal", "orca", "osprey", "otter", "pearl",
    "pelican", "puffin", "reef", "sail", "seal", "tern", "tide", "whale",
];

/// Generates a name for which `taken` is false: two words, followed by a number when many names are taken.
///
/// # Errors
/// When the kernel supplies no random bytes.
pub fn fresh(taken: impl Fn(&str) -> bool) -> Result<String> {
    let mut random = [0; 64];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .context("read /dev/urandom")?;
    let free = random.chunks_exact(2).map(|pair| of(pair[0], pair[1])).find(|name| !taken(name));
    Ok(free.unwrap_or_else(|| {
        let base = of(random[0], random[1]);
        (2_u32..).map(|number| format!("{base}_{number}")).find(|name| !taken(name)).expect("numbers do not run out")
    }))
}

fn of(first: u8, second: u8) -> String {
    format!("{}_{}", FIRST[usize::from(first) % FIRST.len()], SECOND[usize::from(second) % SECOND.len()])
}

/// Generates a uid for a pod: a random UUID from the kernel.
///
/// # Errors
/// When the kernel's file cannot be read.
pub fn uid() -> Result<String> {
    let path = "/proc/sys/kernel/random/uuid";
    Ok(std::fs::read_to_string(path).with_context(|| format!("read {path}"))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn every_generated_name_is_valid() {
        for first in 0..32 {
            for second in 0..32 {
                let name = of(first, second);
                parse::name::hostname(&parse::name::hostname_of(&parse::name::name(&name).expect("name")))
                    .expect("host name");
            }
        }
    }

    #[test]
    fn a_taken_name_is_not_generated_again() {
        let numbered = fresh(|name| !name.contains("_3")).expect("name");
        assert!(numbered.ends_with("_3"), "{numbered}");
    }

    #[test]
    fn uids_are_fresh() {
        assert_ne!(uid().expect("uid"), uid().expect("uid"));
        assert_eq!(uid().expect("uid").len(), 36);
    }
}
