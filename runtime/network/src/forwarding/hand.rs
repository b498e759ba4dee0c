// SPDX-License-Identifier: Apache-2.0
//! Reads and changes a chain of somebody else, with the program that is his.

use super::gate::{Gate, Place};
use super::legacy;
use super::rule::{Ours, Rule};
use crate::error::NetworkError;
use crate::nft;

/// Lists the table that a chain is in.
///
/// # Errors
/// Those of the program.
pub async fn list(gate: &Gate) -> Result<String, NetworkError> {
    match &gate.place {
        Place::Nft { family, table, .. } => Ok(nft::list(&["table", family, table]).await?),
        Place::Legacy { v4 } => legacy::list(*v4).await,
    }
}

/// Puts a rule of ours before all others.
///
/// # Errors
/// Those of the program.
pub async fn insert(gate: &Gate, rule: &Rule) -> Result<(), NetworkError> {
    match &gate.place {
        Place::Nft { family, table, chain } => {
            let (words, comment) = (rule.words(), &rule.comment);
            let script = format!("insert rule {family} {table} {chain} {words} comment \"{comment}\"\n");
            Ok(nft::apply(&script).await?)
        }
        Place::Legacy { v4 } => legacy::change(*v4, "-I", rule).await,
    }
}

/// Removes a rule of ours.
///
/// # Errors
/// Those of the program.
pub async fn delete(gate: &Gate, ours: &Ours) -> Result<(), NetworkError> {
    match &gate.place {
        Place::Nft { family, table, chain } => {
            Ok(nft::apply(&format!("delete rule {family} {table} {chain} handle {}\n", ours.handle)).await?)
        }
        Place::Legacy { v4 } => legacy::delete(*v4, ours).await,
    }
}
