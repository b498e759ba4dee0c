// SPDX-License-Identifier: Apache-2.0
//! Reads a spec file, which is JSON or YAML.

use super::document::Spec;

/// How a spec file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

impl Spec {
    /// Reads a file and checks it.
    pub(crate) fn parse(text: &str, format: Format) -> Result<Self, String> {
        let spec: Self = match format {
            Format::Json => serde_json::from_str(text).map_err(|e| e.to_string())?,
            Format::Yaml => {
                // The tools for this format read and write YAML 1.1, in which 0666 is octal.
                let options = serde_saphyr::options! {
                    budget: serde_saphyr::budget! { max_aliases: 1000, max_documents: 1, max_depth: 32 },
                    legacy_octal_numbers: true,
                };
                serde_saphyr::from_str_with_options(text, options).map_err(|e| first_line(&e.to_string()))?
            }
        };
        spec.check().map(|()| spec)
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
