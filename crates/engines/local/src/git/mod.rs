//! Repos.
