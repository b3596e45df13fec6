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
//!
//! **Collection.** Nothing here is deleted by itself: `rooms/retention` knows what is referred to, and sweeps. A blob
//! goes if no row names it and nobody holds a [`Pin`] of it. That is safe beside all that writes:
//!
//! - [`Draft::finish`] pins the digest before the file has its name, and its caller holds the pin until a row that
//!   names it is committed. In between the pin keeps it, afterwards the row.
//! - A [`Sweep`] begins before the references are read, and from then on a digest that was pinned for a moment counts
//!   as pinned until the sweep ends. So a row that is written after the references were read does its work as well.
//! - Two references to the same content are one file: it goes when neither is left. Deleting and giving a name exclude
//!   each other, so that content that is made again while its old file is being deleted is there in the end.
//! - Rows go first, files after. A crash in between leaves files that no row names, which the next sweep finds: it
//!   looks at what is there and at what is referred to, and remembers nothing.

mod content;
mod output;
mod pins;
mod sweep;

pub use content::{Blobs, Draft};
pub use output::{Output, Outputs, Reader};
pub use pins::Pin;
pub use sweep::{Sweep, Swept};
