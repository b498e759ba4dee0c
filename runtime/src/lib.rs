// SPDX-License-Identifier: Apache-2.0
//! Gorae.

pub mod capabilities;
pub mod cgroups;
