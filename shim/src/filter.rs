// SPDX-License-Identifier: Apache-2.0
//! Finds out whether a seccomp filter allows a call, by running it as the kernel would.

/// The number by which a filter knows this architecture; `None` for one that is not supported here.
const ARCH: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// `SECCOMP_RET_ALLOW` and `SECCOMP_RET_LOG`; the lower half of a return value is data.
const LETS_THROUGH: [u32; 2] = [0x7fff_0000, 0x7ffc_0000];

/// A system call's number and arguments.
pub type Call = (libc::c_long, [u64; 6]);

/// Whether the program allows the call. Also false when that cannot be determined.
pub fn allows(program: &[u8], (number, args): Call) -> bool {
    let Some(arch) = ARCH else { return false };
    let mut data = [0; 64];
    data[0..4].copy_from_slice(&(number as u32).to_ne_bytes());
    data[4..8].copy_from_slice(&arch.to_ne_bytes());
    for (at, arg) in args.iter().enumerate() {
        data[16 + 8 * at..24 + 8 * at].copy_from_slice(&arg.to_ne_bytes());
    }
    answer(program, &data).is_some_and(|answer| LETS_THROUGH.contains(&(answer & 0xffff_0000)))
}

/// Runs the program and returns its value. Jumps only go forward, so it ends. `None` for an instruction that our
/// filters do not use.
fn answer(program: &[u8], data: &[u8; 64]) -> Option<u32> {
    const LOAD: u16 = 0x20;
    const AND: u16 = 0x54;
    const JUMP: u16 = 0x05;
    const IF_EQUAL: u16 = 0x15;
    const IF_ABOVE: u16 = 0x25;
    const IF_AT_LEAST: u16 = 0x35;
    const IF_ANY_OF: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let (mut accumulator, mut at) = (0u32, 0usize);
    loop {
        let [a, b, yes, no, k @ ..] = *program.get(8 * at..)?.first_chunk::<8>()?;
        let k = u32::from_ne_bytes(k);
        at += 1;
        let mut branch = |holds: bool| at += usize::from(if holds { yes } else { no });
        match u16::from_ne_bytes([a, b]) {
            LOAD => accumulator = u32::from_ne_bytes(*data.get(k as usize..)?.first_chunk()?),
            AND => accumulator &= k,
            JUMP => at += k as usize,
            IF_EQUAL => branch(accumulator == k),
            IF_ABOVE => branch(accumulator > k),
            IF_AT_LEAST => branch(accumulator >= k),
            IF_ANY_OF => branch(accumulator & k != 0),
            RETURN => return Some(k),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Vec<u8> {
        let bytes =
            |&(code, yes, no, k): &(u16, u8, u8, u32)| [&code.to_ne_bytes()[..], &[yes, no], &k.to_ne_bytes()].concat();
        instructions.iter().flat_map(bytes).collect()
    }

    #[test]
    fn a_call_is_allowed_by_its_number_and_by_its_arguments() {
        // getpid; personality(8); nothing else.
        let [getpid, personality] = [libc::SYS_getpid, libc::SYS_personality];
        let filter = program(&[
            (0x20, 0, 0, 0),
            (0x15, 4, 0, getpid as u32),
            (0x15, 0, 2, personality as u32),
            (0x20, 0, 0, 16),
            (0x15, 1, 0, 8),
            (0x06, 0, 0, 0x0005_0001),
            (0x06, 0, 0, 0x7fff_0000),
        ]);
        let with = |number, first| (number, [first, 0, 0, 0, 0, 0]);
        assert!(allows(&filter, with(getpid, 0)) && allows(&filter, with(personality, 8)));
        assert!(!allows(&filter, with(personality, 9)) && !allows(&filter, with(libc::SYS_getppid, 0)));
    }

    #[test]
    fn another_machine_and_a_cut_or_unknown_program_allow_nothing() {
        let call = (libc::SYS_getpid, [0; 6]);
        let only = |arch| program(&[(0x20, 0, 0, 4), (0x15, 1, 0, arch), (0x06, 0, 0, 0), (0x06, 0, 0, 0x7fff_0000)]);
        assert!(allows(&only(ARCH.unwrap()), call) && !allows(&only(ARCH.unwrap() ^ 1), call));
        assert!(!allows(&program(&[(0x20, 0, 0, 0)]), call) && !allows(&program(&[(0x07, 0, 0, 0)]), call));
        assert!(!allows(&program(&[(0x20, 0, 0, 64)]), call) && !allows(&program(&[(0x05, 0, 0, u32::MAX)]), call));
    }
}
