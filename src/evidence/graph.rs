//! The index's graph (HNSW), the same in a folder and on a cluster; docs/evidence.md has what it costs
//! and finds.

/// Neighbours of a vector; its links take 128 bytes.
pub(super) const NEIGHBOURS: usize = 16;
/// Candidates looked at for each vector while the graph is built.
pub(super) const BUILD_CANDIDATES: usize = 128;
/// Candidates looked at in a search, or as many as are asked for.
pub(super) const SEARCH_CANDIDATES: usize = 128;
