// SPDX-License-Identifier: Apache-2.0
//! What a table holds of ours, whichever version wrote it: it is taken out by name, so that the administrator's chain and
//! all else of his stays untouched. Pure.

use std::fmt::Write;

/// Our chains with a hook. A chain's hook and priority cannot be changed: these are deleted and added.
pub const HOOKED: [&str; 5] = ["guard", "prerouting", "output", "postrouting", "forward"];
/// Our maps.
pub const MAPS: [&str; 4] = ["ports4", "ports4_at", "ports6", "ports6_at"];
/// Our sets.
pub const SETS: [&str; 5] = ["beside4", "beside6", "services4", "services6", "sources6"];

/// The lines that take our objects out of a table. `listing` is nft's text of it.
pub fn clear(table: &str, listing: &str) -> String {
    let (chains, data): (Vec<_>, Vec<_>) = ours(listing).into_iter().partition(|(kind, _)| *kind == "chain");
    let mut text = String::new();
    // They jump to each other: only what is empty lets go.
    for verb in ["flush", "delete"] {
        for (_, name) in &chains {
            let _ = writeln!(text, "{verb} chain inet {table} {name}");
        }
    }
    for (kind, name) in data {
        let _ = writeln!(text, "delete {kind} inet {table} {name}");
    }
    text
}

/// Kind and name of each: those that stand at the first level of the text.
fn ours(listing: &str) -> Vec<(&str, &str)> {
    listing.lines().filter_map(object).collect()
}

fn object(line: &str) -> Option<(&str, &str)> {
    let (kind, name) = line.strip_prefix('\t')?.strip_suffix(" {")?.split_once(' ')?;
    let ours = match kind {
        "chain" => name == "hostports" || HOOKED.contains(&name),
        "map" | "set" => MAPS.contains(&name) || SETS.contains(&name),
        _ => false,
    };
    ours.then_some((kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_taken_out_by_its_kind_and_the_administrators_stays() {
        let listing = "table inet t {\n\tset ports4 {\n\t\ttype inet_service\n\t}\n\n\tset allowed {\n\t}\n\n\
                       \tchain user_forward {\n\t\tip saddr @allowed accept\n\t\tchain guard {\n\t}\n\n\
                       \tchain hostports {\n\t}\n\n\tchain output {\n\t\tjump hostports\n\t}\n}\n";
        let wanted = "flush chain inet t hostports\nflush chain inet t output\n\
                      delete chain inet t hostports\ndelete chain inet t output\ndelete set inet t ports4\n";
        assert_eq!(clear("t", listing), wanted);
        assert_eq!(clear("t", "table inet t {\n}\n"), "");
    }
}
