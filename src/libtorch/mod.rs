//! Loading libtorch's CUDA libraries and settling its threads. The only room with `unsafe`.
//!
//! Imports: nothing.
