//! Evidence: texts and pictures with their embeddings, kept safely and found again by meaning.
//!
//! Imports: bounds, units.
//!
//! The room knows no model: vectors come in and go out. A [`Store`] lies in this process
//! ([`Place::Embedded`](config::Place), on Qdrant Edge) or in a Qdrant cluster; the data model is one.
//!
//! What is acknowledged is on the disk: a killed process loses none of it, and a reader sees an
//! item with all its embeddings or not at all.

pub mod config;
#[doc(hidden)]
pub mod fuzzing;
pub mod passages;
mod check;
mod embedded;
mod error;
mod filter;
mod graph;
mod points;
mod remote;
mod store;
mod types;

pub use self::config::{Config, Limits};
pub use self::embedded::copy_store;
pub use self::error::Error;
pub use self::filter::{Field, Filter, Range, Test};
pub use self::store::Store;
pub use self::types::{
    Chunk, Collection, Embedded, FieldType, Hit, Image, Item, List, Model, Options, Page, Place,
    Quantisation, Search, Statistics, Value, Written,
};
