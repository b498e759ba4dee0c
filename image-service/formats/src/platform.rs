// SPDX-License-Identifier: Apache-2.0
//! Platforms as builders write them, normalised before they are compared. Pure.
//!
//! The forms and the order of preference are those of containerd, so both pick the same image from an index.

/// The first rank of the 32-bit sibling of an architecture, after all ranks of its own variants.
const SIBLING: u32 = 64;
/// The last minor version of ARMv8. ARMv9.N runs binaries for ARMv8.(N+5).
const LAST_OF_ARMV8: u32 = 9;

/// An operating system and processor, in the terms of the OCI image spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, … (Go's names).
    pub architecture: String,
    /// `v7`, `v8`, …; empty when it does not matter.
    pub variant: String,
}

impl Platform {
    /// The platform this program was built for.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "x86" => ("386", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", ""),
            "loongarch64" => ("loong64", ""),
            other => (other, ""),
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: variant.to_owned() }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

/// Normalises a platform: lower case, Go's names, and no variant if every machine of the architecture has it.
///
/// - Shapes: a missing operating system becomes Linux.
pub fn normalised(platform: &Platform) -> Platform {
    let os = match platform.os.to_lowercase().as_str() {
        "" => "linux".to_owned(),
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    };
    let (architecture, variant) = (platform.architecture.to_lowercase(), platform.variant.to_lowercase());
    let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        own => own,
    };
    Platform { os, architecture: architecture.to_owned(), variant: variant.to_owned() }
}

/// How well an image for `offered` suits a node of `wanted`: lower is better, `None` if the node cannot run it.
pub fn rank(offered: &Platform, wanted: &Platform) -> Option<u32> {
    let (offered, wanted) = (normalised(offered), normalised(wanted));
    if offered.os != wanted.os {
        return None;
    }
    match (offered.architecture.as_str(), wanted.architecture.as_str()) {
        (own, same) if own == same => step(own, &offered.variant, &wanted.variant),
        ("386", "amd64") if offered.variant.is_empty() => Some(SIBLING),
        ("arm", "arm64") => step("arm", &offered.variant, "v8").map(|step| SIBLING + step),
        _ => None,
    }
}

/// How many steps the image's variant is older than the node's.
fn step(architecture: &str, offered: &str, wanted: &str) -> Option<u32> {
    if offered == wanted {
        return Some(0);
    }
    let ((major, minor), (own, own_minor)) = (level(architecture, offered)?, level(architecture, wanted)?);
    match architecture {
        "amd64" | "arm" if major <= own && minor == 0 && own_minor == 0 => Some(own - major),
        "arm64" if major == own && minor <= own_minor => Some(own_minor - minor),
        "arm64" if (major, own) == (8, 9) && minor <= (own_minor + 5).min(LAST_OF_ARMV8) => {
            Some(own_minor + 1 + LAST_OF_ARMV8 - minor)
        }
        _ => None,
    }
    .filter(|step| *step < SIBLING)
}

/// Parses a variant: `v8.2` is (8, 2); an empty one is the first of the architecture.
fn level(architecture: &str, variant: &str) -> Option<(u32, u32)> {
    let variant = match (architecture, variant) {
        ("amd64", "") => "v1",
        ("arm64", "") => "v8",
        (_, given) => given,
    };
    let number = |digits: &str| if digits.starts_with('+') { None } else { digits.parse::<u32>().ok() };
    let (major, minor) = variant.strip_prefix('v')?.split_once('.').unwrap_or((&variant[1..], "0"));
    Some((number(major)?, number(minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        Platform { os: part(), architecture: part(), variant: part() }
    }

    #[test]
    fn every_spelling_of_a_platform_has_one_form() {
        for (written, form) in [
            ("linux/aarch64/v8", "linux/arm64"),
            ("Linux/ARM64/8", "linux/arm64"),
            ("linux/arm64/v9", "linux/arm64/v9"),
            ("/x86_64", "linux/amd64"),
            ("linux/x86-64/V3", "linux/amd64/v3"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/i386/x", "linux/386"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel/v5", "linux/arm/v6"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/arm/v8", "linux/arm/v8"),
            ("macOS/arm64", "darwin/arm64"),
            ("linux/s390x", "linux/s390x"),
            ("unknown/unknown", "unknown/unknown"),
        ] {
            let once = normalised(&platform(written));
            assert_eq!(once.to_string(), form, "{written}");
            assert_eq!(normalised(&once), once, "{written}");
        }
    }

    #[test]
    fn a_node_runs_its_own_variant_then_older_ones_then_its_32_bit_sibling() {
        for (wanted, best_first) in [
            ("linux/amd64", &["linux/x86_64", "linux/i386"][..]),
            ("linux/amd64/v3", &["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"]),
            ("linux/arm64/v8", &["linux/aarch64", "linux/arm/v8", "linux/armhf", "linux/armel", "linux/arm/v5"]),
            ("linux/arm64/v8.2", &["linux/arm64/v8.2", "linux/arm64/v8.1", "linux/arm64/v8", "linux/arm"]),
            ("linux/arm64/v9", &["linux/arm64/v9", "linux/arm64/v8.5", "linux/arm64/v8"]),
            ("linux/arm/v7", &["linux/arm", "linux/arm/v6", "linux/arm/v5"]),
        ] {
            let ranks: Vec<_> = best_first.iter().map(|offered| rank(&platform(offered), &platform(wanted))).collect();
            assert!(ranks.iter().all(Option::is_some) && ranks.is_sorted_by(|a, b| a < b), "{wanted}: {ranks:?}");
        }
    }

    #[test]
    fn what_a_node_cannot_run_has_no_rank() {
        for (offered, wanted) in [
            ("windows/amd64", "linux/amd64"),
            ("linux/amd64/v2", "linux/amd64"),
            ("linux/amd64/v99999999999", "linux/amd64/v2"),
            ("linux/amd64/v+1", "linux/amd64/v3"),
            ("linux/amd64", "linux/386"),
            ("linux/arm/v7", "linux/arm/v6"),
            ("linux/arm64/v8.6", "linux/arm64/v9"),
            ("linux/arm64/v8.1", "linux/arm64"),
            ("linux/arm64", "linux/arm/v8"),
            ("linux/ppc64", "linux/ppc64le"),
            ("linux/", "linux/amd64"),
            ("unknown/unknown", "linux/amd64"),
        ] {
            assert_eq!(rank(&platform(offered), &platform(wanted)), None, "{offered} on {wanted}");
        }
    }
}
