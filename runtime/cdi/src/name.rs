// SPDX-License-Identifier: Apache-2.0
//! Qualified device names, and the places in a request that hold them.

use crate::error::{Error, Kind, Result};
use gorae_proto::cri;
use std::str::FromStr;

/// Largest number of devices of one container; a large machine has a few dozen.
const MAX_DEVICES: usize = 1024;
/// Longest part of a name, in bytes.
const MAX_PART: usize = 255;
/// Prefix of the annotations in which device plugins request devices: names separated by commas.
const ANNOTATION: &str = "cdi.k8s.io/";

/// A device name `VENDOR/CLASS=DEVICE`, each part checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName {
    /// The part before the slash.
    pub vendor: String,
    /// The part between the slash and the equals sign.
    pub class: String,
    /// The part after the equals sign.
    pub device: String,
}

impl DeviceName {
    /// The kind that the device belongs to: `VENDOR/CLASS`.
    pub fn kind(&self) -> String {
        format!("{}/{}", self.vendor, self.class)
    }
}

impl std::fmt::Display for DeviceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}={}", self.vendor, self.class, self.device)
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::new(Kind::Invalid, format!("CDI device name {text:?}: {why}"));
        let (kind, device) = text.split_once('=').ok_or_else(|| bad("is not VENDOR/CLASS=DEVICE"))?;
        let (vendor, class) = check_kind(kind).map_err(|why| bad(&why))?;
        check_device(device).map_err(|why| bad(&why))?;
        Ok(Self { vendor: vendor.into(), class: class.into(), device: device.into() })
    }
}

/// Splits and checks `VENDOR/CLASS`.
pub(super) fn check_kind(kind: &str) -> std::result::Result<(&str, &str), String> {
    let (vendor, class) = kind.split_once('/').ok_or_else(|| format!("{kind:?} is not VENDOR/CLASS"))?;
    for part in [vendor, class] {
        if !part.starts_with(|c: char| c.is_ascii_alphabetic()) || !inner(part, "_-.") {
            return Err(format!("{part:?} is not letters, digits, _ - . between a letter and a letter or digit"));
        }
    }
    Ok((vendor, class))
}

/// Checks the name of a device within its kind.
pub(super) fn check_device(name: &str) -> std::result::Result<(), String> {
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && inner(name, "_-.:") {
        return Ok(());
    }
    Err(format!("{name:?} is not letters, digits, _ - . : between letters or digits"))
}

fn inner(part: &str, also: &str) -> bool {
    part.len() <= MAX_PART
        && part.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
        && part.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// Reads all device names of a request, each once: first those of the field, then those of annotations in the order of
/// their keys.
///
/// # Errors
/// [`Kind::Invalid`] for text that is not a device name, and for more than 1024 devices.
pub fn of_request(config: &cri::ContainerConfig) -> Result<Vec<DeviceName>> {
    let mut annotations: Vec<_> = config.annotations.iter().filter(|(key, _)| key.starts_with(ANNOTATION)).collect();
    annotations.sort();
    let fields = config.cdi_devices.iter().map(|d| ("CDI_devices", d.name.as_str()));
    let annotated = annotations.iter().flat_map(|(key, value)| value.split(',').map(|name| (key.as_str(), name)));
    let mut names: Vec<DeviceName> = Vec::new();
    for (place, name) in fields.chain(annotated) {
        let name: DeviceName = name.parse().map_err(|e: Error| e.during(place))?;
        if !names.contains(&name) {
            names.push(name);
        }
        if names.len() > MAX_DEVICES {
            return Err(Error::new(Kind::Invalid, format!("more than {MAX_DEVICES} CDI devices")));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_names() {
        for good in ["vendor.com/gpu=0", "v/c=d", "nvidia.com/gpu=GPU-1:2", "a-b.c/d_e.f=all", "intel.com/net=1x"] {
            assert_eq!(good.parse::<DeviceName>().expect(good).to_string(), good);
        }
        for bad in [
            "",
            "gpu0",
            "/dev/null",
            "vendor.com/gpu",
            "vendor.com=0",
            "vendor.com/gpu=",
            "/gpu=0",
            "vendor.com/=0",
            "1vendor.com/gpu=0",
            "vendor.com/1gpu=0",
            "vendor./gpu=0",
            "vendor.com/gpu-=0",
            "vendor.com/gpu=-0",
            "vendor.com/gpu=0-",
            "vendor.com/gpu=a b",
            "vendor.com/gpu=a,b",
            "vendor.com/gpu=a=b",
            "vendor.com/a/b=0",
            "vendor.com/gpu=0\n",
            "véndor.com/gpu=0",
        ] {
            assert!(bad.parse::<DeviceName>().is_err(), "{bad:?}");
        }
        assert!(format!("v/c={}", "d".repeat(300)).parse::<DeviceName>().is_err());
    }

    #[test]
    fn annotations_add_what_the_field_has_not() {
        let device = |name: &str| cri::CdiDevice { name: name.into() };
        let mut config = cri::ContainerConfig { cdi_devices: vec![device("v/c=2")], ..Default::default() };
        config.annotations.insert("cdi.k8s.io/plugin_b".into(), "v/c=3".into());
        config.annotations.insert("cdi.k8s.io/plugin_a".into(), "v/c=1,v/c=2".into());
        config.annotations.insert("cdi.k8s.iox".into(), "no name at all".into());
        let names: Vec<_> = of_request(&config).expect("names").iter().map(ToString::to_string).collect();
        assert_eq!(names, ["v/c=2", "v/c=1", "v/c=3"]);
        config.annotations.insert("cdi.k8s.io/plugin_c".into(), "no name at all".into());
        assert!(of_request(&config).expect_err("refused").to_string().contains("cdi.k8s.io/plugin_c"));
    }
}
