//! What the repository says of itself, kept: the arrows between its modules, the tests that its tables name, the links and
//! paths in its documents.

mod arrows;
mod coverage;
mod image;
mod links;
mod service;
mod tree;
