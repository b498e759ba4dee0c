// SPDX-License-Identifier: Apache-2.0
//! The images and layers on disk, and their index in memory.
//!
//! ```text
//! ROOT/lock                       one process at a time
//! ROOT/layers/sha256-HEX/fs       a layer's files, an overlay lower directory; named by diff id
//! ROOT/layers/sha256-HEX/record   its size; written before the directory gets its name
//! ROOT/layers/sha256-HEX/implied  its directories that no member describes, when there are any
//! ROOT/images/sha256-HEX          record: config as it came, diff ids; named by config digest
//! ROOT/names/HEX                  record: one name and the image it means; named by the name's hash
//!                                 A tree of directories on top of an image is a layer as well; see `top`
//! ROOT/empty                      stands in for the layers of an image that has none
//! ROOT/temp/…                     whatever is not finished; emptied at start
//! ```
//!
//! Invariants: a name in `layers`, `images` or `names` appears only by a rename, after its data was synced. The layers of
//! an image get their names before the image, and the names of the image after it. Removal works in the opposite order:
//! the image record first. So after a crash at any point each image is whole or absent, and leftovers are unreferenced. A
//! damaged record costs only the object that it describes. Disk I/O here blocks: call it only from threads that may block.

mod commit;
mod disk;
mod error;
mod index;
mod kept;
mod load;
mod lost;
mod merged;
mod open;
mod plan;
mod record;
mod remove;
mod search;
mod staged;
mod top;

pub use commit::NewImage;
pub use disk::{Store, Usage};
pub use error::Error;
pub use index::Ambiguous;
pub use kept::Kept;
pub use remove::NameRemoval;
pub use staged::{Staged, discard, discard_in_background};
pub use top::top_first;
