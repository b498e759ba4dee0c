// SPDX-License-Identifier: Apache-2.0
//! The container's program: the smallest ELF file that exits with 0, written byte by byte. No compiler needed.

use anyhow::Result;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where it is mapped.
const BASE: u64 = 0x40_0000;
/// ELF header and one program header.
const HEADERS: u64 = 64 + 56;

#[cfg(target_arch = "x86_64")]
mod machine {
    pub const NUMBER: u16 = 62;
    /// `mov eax, 60; xor edi, edi; syscall`
    pub const EXIT: &[u8] = &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
}
#[cfg(target_arch = "aarch64")]
mod machine {
    pub const NUMBER: u16 = 183;
    /// `mov x8, #93; mov x0, #0; svc #0`
    pub const EXIT: &[u8] = &[0xa8, 0x0b, 0x80, 0xd2, 0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];
}

/// Writes the program.
pub fn write(path: &Path) -> Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(path)?;
    Ok(std::io::Write::write_all(&mut file, &elf())?)
}

fn elf() -> Vec<u8> {
    let size = HEADERS + machine::EXIT.len() as u64;
    let mut out = Vec::new();
    out.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // e_type: executable; e_machine; e_version; e_entry; e_phoff; e_shoff; e_flags
    halves(&mut out, &[2, machine::NUMBER]);
    words(&mut out, &[1]);
    longs(&mut out, &[BASE + HEADERS, 64, 0]);
    words(&mut out, &[0]);
    // e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
    halves(&mut out, &[64, 56, 1, 0, 0, 0]);
    // p_type: load; p_flags: read, execute; p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
    words(&mut out, &[1, 5]);
    longs(&mut out, &[0, BASE, BASE, size, size, 0x1000]);
    out.extend_from_slice(machine::EXIT);
    out
}

fn halves(out: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

fn words(out: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

fn longs(out: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_runs_and_exits_with_0() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("true");
        super::write(&path).expect("written");
        assert!(std::process::Command::new(&path).status().expect("it runs").success());
    }
}
