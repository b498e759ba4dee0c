// SPDX-License-Identifier: Apache-2.0
//! Architectures by the names of libseccomp.

use super::invalid::{invalid, shown};
use super::text::ArchText;
use crate::arch::Arch;
use crate::error::Error;

/// Names in `architectures` that are valid, but belong to other machines.
const OTHER_ARCHES: [&str; 19] = [
    "SCMP_ARCH_NATIVE",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

/// All architectures that this code knows, of any machine.
const OUR_ARCHES: [Arch; 5] = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];

/// The native architecture, and the machine's other ones that the profile lists.
pub(super) fn arches(listed: Option<&[String]>, map: Option<&[ArchText]>) -> Result<Vec<Arch>, Error> {
    let (listed, map) = (listed.unwrap_or_default(), map.unwrap_or_default());
    if !listed.is_empty() && !map.is_empty() {
        return Err(invalid("archMap", "architectures and archMap are both set"));
    }
    let mut asked = Vec::new();
    for (at, name) in listed.iter().enumerate() {
        asked.extend(arch(&format!("architectures[{at}]"), name)?);
    }
    for (at, entry) in map.iter().enumerate() {
        let main = arch(&format!("archMap[{at}].architecture"), &entry.architecture)?;
        for name in entry.sub_architectures.iter().flatten() {
            let sub = arch(&format!("archMap[{at}].subArchitectures"), name)?;
            asked.extend(sub.filter(|_| main == Some(Arch::NATIVE)));
        }
    }
    let here = Arch::here().iter().copied();
    Ok(here.filter(|arch| *arch == Arch::NATIVE || asked.contains(arch)).collect())
}

/// `None` for a valid architecture of other machines.
fn arch(place: &str, name: &str) -> Result<Option<Arch>, Error> {
    match OUR_ARCHES.iter().find(|arch| arch.oci_name() == name) {
        Some(arch) => Ok(Some(*arch)),
        None if OTHER_ARCHES.contains(&name) => Ok(None),
        None => Err(invalid(place, format!("unknown architecture {}", shown(name)))),
    }
}
