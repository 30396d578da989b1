//! Gotthard.
