//! Bounds on what one message may hold. Each is far above what a real peer sends and far below what hurts.

/// Payloads in one chain, in the clear or inside SK.
pub const MAX_PAYLOADS: usize = 64;

/// Proposals in one SA payload.
pub const MAX_PROPOSALS: usize = 128;

/// Transforms in one SA payload, over all its proposals.
pub const MAX_TRANSFORMS: usize = 1024;

/// Attributes in one transform.
pub const MAX_TRANSFORM_ATTRIBUTES: usize = 16;

/// Octets of a nonce, shortest and longest (RFC 7296 §3.9).
pub const NONCE_LEN: core::ops::RangeInclusive<usize> = 16..=256;
