// SPDX-License-Identifier: Apache-2.0
//! Every target over its seeds and many mutations of them, without a fuzzer: quick, and the same every time.

use gorae_fuzz::TARGETS;
use gorae_fuzz::random::Random;

const MUTATIONS: u64 = 3000;

/// One test, because the limit of memory counts the whole process.
#[test]
fn every_property_holds_for_the_seeds_and_what_is_near_them() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        seeds.iter().for_each(|seed| target.run(seed));
        for n in 0..MUTATIONS {
            let mut random = Random::new(0x9e37_79b9_7f4a_7c15 ^ n);
            let mut input = seeds[random.below(seeds.len())].clone();
            random.mutate(&mut input);
            target.run(&input);
        }
    }
}
