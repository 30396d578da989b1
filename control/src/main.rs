//! Gotthard.
fn main() {}
