//! The network of the instances.
