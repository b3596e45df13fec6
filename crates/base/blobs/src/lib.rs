//! Bytes the platform keeps: blobs named by their content, and outputs that grow while somebody reads them.
//!
//! Knows files; knows not what they mean. One real part stands behind it today, a folder; object storage is to come.
//!
//! ```text
//! blobs/AB/ABCDEF…   a blob, named by its SHA-256; never changes
//! blobs/drafts/…     blobs being written; emptied at start
//! outputs/NAME       an output that has ended
//! outputs/NAME.part  an output under way, or cut off by the end of its process
//! ```

mod content;
mod output;

pub use content::{Blobs, Draft};
pub use output::{Output, Outputs, Reader};
