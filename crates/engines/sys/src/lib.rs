//! The kernel's calls that need `unsafe`, each behind a safe function. Knows no dynos, apps or builds.

pub mod descriptors;
