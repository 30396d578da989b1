//! Where a step of the protocol asks for what takes long to compute.
//!
//! A step that needs such a value asks for it before it changes anything. Where jobs are handed out and the value is not
//! there, the step ends with [`Pending`]; it is taken again, from its start, when the value is known. Values are found
//! by what they were computed from, so that a state which changed meanwhile meets no value that is not its own.

use std::sync::Arc;

use crate::codec::iana::Group;
use crate::crypto::Random;
use crate::crypto::dh::{DhSecret, Drawn};
use crate::crypto::job::{Exchanged, Value, Work};

/// The values that the present step knows, and the one that it lacks.
#[derive(Default)]
pub(crate) struct Compute {
    hands_out: bool,
    known: Vec<Value>,
    wanted: Option<Work>,
}

/// The value is not known yet; the step is to be taken again when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending;

impl Compute {
    /// Whether jobs are handed out instead of being run at once.
    pub(crate) const fn hand_out(&mut self, hands_out: bool) {
        self.hands_out = hands_out;
    }

    pub(super) const fn hands_out(&self) -> bool {
        self.hands_out
    }

    /// A step begins that knows these values.
    pub(crate) fn begin(&mut self, known: Vec<Value>) {
        self.known = known;
    }

    /// The step has ended: what it knew, and what it lacks if it is to be taken again.
    pub(crate) fn end(&mut self) -> (Vec<Value>, Option<Work>) {
        (core::mem::take(&mut self.known), self.wanted.take())
    }

    /// A fresh secret of `group`. `None`: as [`Drawn::new`].
    pub(super) fn generate(
        &mut self,
        group: Group,
        random: &mut dyn Random,
    ) -> Result<Option<Arc<DhSecret>>, Pending> {
        let known = self.known.iter().find_map(|value| match value {
            Value::Generated(secret) if secret.group() == group => Some(secret.clone()),
            Value::Generated(_) | Value::Exchanged(_) => None,
        });
        if known.is_some() {
            return Ok(known);
        }
        let Some(drawn) = Drawn::new(group, random) else { return Ok(None) };
        if self.hands_out {
            return self.wait_for(Work::Generate(drawn));
        }
        Ok(Some(Arc::new(drawn.into_secret())))
    }

    /// A fresh secret of `group`, and what it makes with the peer's value. `None`: as [`Drawn::new`].
    pub(super) fn exchange(
        &mut self,
        group: Group,
        peer: &[u8],
        random: &mut dyn Random,
    ) -> Result<Option<Arc<Exchanged>>, Pending> {
        let known = self.find(|exchanged| exchanged.secret.group() == group && exchanged.peer == peer);
        if known.is_some() {
            return Ok(known);
        }
        let Some(drawn) = Drawn::new(group, random) else { return Ok(None) };
        if self.hands_out {
            return self.wait_for(Work::Exchange { drawn, peer: peer.to_vec() });
        }
        Ok(Some(Arc::new(Exchanged::new(Arc::new(drawn.into_secret()), peer))))
    }

    /// What our secret makes with the peer's value.
    pub(super) fn agree(&mut self, secret: &Arc<DhSecret>, peer: &[u8]) -> Result<Arc<Exchanged>, Pending> {
        let known = self.find(|exchanged| Arc::ptr_eq(&exchanged.secret, secret) && exchanged.peer == peer);
        if let Some(known) = known {
            return Ok(known);
        }
        if self.hands_out {
            return self.wait_for(Work::Agree { secret: secret.clone(), peer: peer.to_vec() });
        }
        Ok(Arc::new(Exchanged::new(secret.clone(), peer)))
    }

    /// The secret that the present step knows.
    pub(crate) fn generated(&self) -> Option<Arc<DhSecret>> {
        self.known.iter().find_map(|value| match value {
            Value::Generated(secret) => Some(secret.clone()),
            Value::Exchanged(_) => None,
        })
    }

    fn find(&self, is_it: impl Fn(&Exchanged) -> bool) -> Option<Arc<Exchanged>> {
        self.known.iter().find_map(|value| match value {
            Value::Exchanged(exchanged) if is_it(exchanged) => Some(exchanged.clone()),
            Value::Exchanged(_) | Value::Generated(_) => None,
        })
    }

    fn wait_for<T>(&mut self, work: Work) -> Result<T, Pending> {
        self.wanted = Some(work);
        Err(Pending)
    }
}
