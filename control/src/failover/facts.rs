//! What is known of one tunnel when it is decided who carries the traffic.

/// What is known of one tunnel: the chain IKE, ESP, probe, BGP, and what the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What the operator wants of it.
    pub wish: Wish,
    /// Its IKE SA is established and answers liveness checks.
    pub ike: bool,
    /// It has a child SA in both directions, and the device and the packet path have taken it.
    pub esp: bool,
    /// Something was heard of the peer in time ([`crate::probe`]), and nothing shows that ESP is lost
    /// ([`crate::diagnose::unacknowledged`], [`crate::diagnose::unheard`]).
    pub probe: bool,
    /// Its BGP session.
    pub bgp: Session,
    /// Of tunnels that are equally well the one with the higher preference carries.
    pub preference: u32,
}

/// What the operator wants of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To be up, and to carry.
    Up,
    /// To be up, and to carry only where no other tunnel can: a planned move.
    Drain,
    /// To be down.
    Down,
}

/// The BGP session of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// There is none: routes are static, or another daemon's.
    None,
    /// Not established, and its routes are gone.
    Down,
    /// Established, or its routes are kept while the peer restarts (RFC 4724).
    Up,
}

/// A link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// The IKE SA.
    Ike,
    /// The child SA.
    Esp,
    /// The probe.
    Probe,
    /// The BGP session.
    Bgp,
}

impl Facts {
    /// Every link of the chain holds.
    pub const fn lives(&self) -> bool {
        self.broken().is_none()
    }

    /// It has SAs and routes, though nothing is heard of the peer.
    pub const fn may_live(&self) -> bool {
        matches!(self.broken(), None | Some(Link::Probe)) && !matches!(self.bgp, Session::Down)
    }

    /// The first broken link of the chain.
    pub const fn broken(&self) -> Option<Link> {
        match self {
            Self { ike: false, .. } => Some(Link::Ike),
            Self { esp: false, .. } => Some(Link::Esp),
            Self { probe: false, .. } => Some(Link::Probe),
            Self { bgp: Session::Down, .. } => Some(Link::Bgp),
            Self { bgp: Session::None | Session::Up, .. } => None,
        }
    }
}
