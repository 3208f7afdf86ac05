//! Integration tests, one binary.

mod yolo;
