//! The hot part of an inbound SA: what opening a packet reads. What it writes, the replay window, is apart.

use super::selectors::Admission;
use super::spec::{InboundSpec, TunnelId};
use super::{SpecError, check_spi};
use crate::esp::cipher::Opener;
use crate::esp::transform::Transform;
use crate::replay::{self, ReplayWindow};

/// An SA for packets that arrive. Constant, so that workers can share it behind an `Arc`; the one
/// [`ReplayWindow`] of the SA belongs to one worker.
#[derive(Debug)]
pub struct InboundSa {
    tunnel: TunnelId,
    spi: u32,
    transform: Transform,
    opener: Opener,
    selectors: Admission,
    esn: bool,
    replay_window: u32,
}

impl InboundSa {
    /// Builds the SA.
    pub fn new(spec: &InboundSpec) -> Result<Self, SpecError> {
        check_spi(spec.spi)?;
        if !(replay::MIN_SIZE..=replay::MAX_SIZE).contains(&spec.replay_window) {
            return Err(SpecError::ReplayWindow(spec.replay_window));
        }
        Ok(Self {
            tunnel: spec.tunnel,
            spi: spec.spi,
            transform: spec.transform,
            opener: Opener::new(spec.transform, &spec.keys, spec.esn)?,
            selectors: Admission::inbound(&spec.selectors)?,
            esn: spec.esn,
            replay_window: spec.replay_window,
        })
    }

    /// An empty replay window of the SA's width. There must be only one in use.
    pub fn replay_window(&self) -> ReplayWindow {
        ReplayWindow::new(self.replay_window, self.esn)
    }

    /// Whose TUN device receives the inner packets.
    pub const fn tunnel(&self) -> TunnelId {
        self.tunnel
    }

    /// Our SPI.
    pub const fn spi(&self) -> u32 {
        self.spi
    }

    /// Cipher and integrity.
    pub const fn transform(&self) -> Transform {
        self.transform
    }

    /// What may be inside.
    pub const fn selectors(&self) -> &Admission {
        &self.selectors
    }

    pub(crate) const fn opener(&self) -> &Opener {
        &self.opener
    }
}
