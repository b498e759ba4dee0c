// SPDX-License-Identifier: Apache-2.0
//! libFuzzer over the target that `GORAE_FUZZ_TARGET` names, after writing its seeds to the directory that
//! `GORAE_FUZZ_SEEDS` names, if it does; libFuzzer's own options go on the command line.
#![no_main]

use gorae_fuzz::{Target, named};
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("GORAE_FUZZ_TARGET").expect("GORAE_FUZZ_TARGET names a target");
    named(&name).unwrap_or_else(|| panic!("{name:?} is not a target"))
});

libfuzzer_sys::fuzz_target!(
    init: {
        if let Some(directory) = std::env::var_os("GORAE_FUZZ_SEEDS") {
            TARGET.write_seeds(directory.as_ref()).expect("GORAE_FUZZ_SEEDS names a directory");
        }
    },
    |input: &[u8]| TARGET.run(input)
);
