//! Integration tests, one binary.

mod explain;
