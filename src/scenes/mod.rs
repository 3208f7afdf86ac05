//! The demo world: cartoon faces drawn from a seed, with captions, part boxes and cue masks.
//!
//! Imports: vision.
