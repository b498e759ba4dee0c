// SPDX-License-Identifier: Apache-2.0
//! Computes what to write into a limit's file to restore its old value. Pure.
//!
//! Most files hold one value, which is written back as it was read. Some hold a line per device or resource, such as
//! `8:0 rbps=max wbps=1048576 …`. A write to them changes only the line that it names, and they do not list a device or
//! resource without a limit.

/// The value that undoes writing `line` to `file`, whose content was `old` before.
pub fn value(file: &str, line: &str, old: &str) -> String {
    let Some(unlimited) = unlimited(file) else { return old.to_owned() };
    // `io.weight` accepts its default with or without the word.
    let key = line.split_once(' ').map_or("default", |(key, _)| key);
    let known = old.lines().find(|known| known.split(' ').next() == Some(key));
    known.map_or_else(|| format!("{key} {unlimited}"), str::to_owned)
}

/// The text for "no limit" after the key; `None` for files with one value.
fn unlimited(file: &str) -> Option<&'static str> {
    match file {
        "io.max" => Some("rbps=max wbps=max riops=max wiops=max"),
        "io.latency" => Some("target=0"),
        "io.weight" | "io.bfq.weight" => Some("default"),
        "rdma.max" => Some("hca_handle=max hca_object=max"),
        "misc.max" | "dmem.max" => Some("max"),
        "dmem.min" | "dmem.low" => Some("0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn one_value_is_written_back_as_it_was() {
        assert_eq!(value("memory.high", "5", "max"), "max");
        assert_eq!(value("cpu.max", "1000 2000", "max 100000"), "max 100000");
    }

    #[test]
    fn a_line_is_written_back_or_taken_away() {
        let two = "8:0 rbps=max wbps=1 riops=max wiops=max\n8:16 rbps=2 wbps=max riops=max wiops=max";
        for (file, line, old, wanted) in [
            ("io.max", "8:0 rbps=7", two, "8:0 rbps=max wbps=1 riops=max wiops=max"),
            ("io.max", "8:1 rbps=7", two, "8:1 rbps=max wbps=max riops=max wiops=max"),
            ("io.max", "8:0 rbps=7", "", "8:0 rbps=max wbps=max riops=max wiops=max"),
            ("io.weight", "200", "default 100\n8:0 50", "default 100"),
            ("io.weight", "default 200", "default 100\n8:0 50", "default 100"),
            ("io.weight", "8:0 70", "default 100\n8:0 50", "8:0 50"),
            ("io.weight", "8:16 70", "default 100", "8:16 default"),
            ("misc.max", "sev 3", "sev 9", "sev 9"),
        ] {
            assert_eq!(value(file, line, old), wanted, "{file} = {line:?} over {old:?}");
        }
    }
}
