//! What comes of a tunnel's events and deadlines: requests to the IKE endpoint, and news for the operator.

use gotthard_ike::error::{Failure, Sa};

/// What to ask of the IKE endpoint, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Delete the tunnel's SAs.
    Terminate,
    /// Make one attempt.
    Initiate,
    /// Rekey the child SA.
    RekeyChild,
    /// Ask the peer whether it lives.
    CheckLiveness,
    /// Make another IKE SA beside the one there is.
    Replace,
}

/// What an operator should be told in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It carries traffic from here on.
    Up,
    /// It no longer does, and why.
    Down(Failure),
    /// An attempt failed, and why.
    Failed(Failure),
    /// A rekey of ours failed, and why; it carries traffic all the same.
    RekeyFailed(Sa, Failure),
    /// Another IKE SA took the place of the one it had; it carried traffic throughout.
    Replaced,
    /// Its IKE SA was rekeyed.
    IkeRekeyed,
    /// Its child SA was rekeyed.
    ChildRekeyed,
}
