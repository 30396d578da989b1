//! The table of inbound SAs: SPI to entry (RFC 4301 §4.4.2). The SPI alone selects, whoever sent the packet.
//!
//! Our SPIs are drawn by us, at random, so their own bits place them: no peer can choose them to collide.

use super::{SpecError, check_spi};

/// An open-addressed table, at most half full, with linear probing. Cloned where the entries can be.
#[derive(Clone, Debug)]
pub struct Sad<T> {
    /// SPIs by place; 0 is an empty place. Apart from the entries, so that a probe reads 16 of them in a cache line.
    spis: Box<[u32]>,
    entries: Box<[Option<T>]>,
    len: usize,
}

impl<T> Sad<T> {
    /// An empty table.
    pub fn new() -> Self {
        Self::with_places(MIN_PLACES)
    }

    /// Enters an SA; refuses an SPI that is reserved or in use, and any above [`MAX_SAS`].
    pub fn insert(&mut self, spi: u32, entry: T) -> Result<(), SpecError> {
        check_spi(spi)?;
        if self.get(spi).is_some() {
            return Err(SpecError::SpiInUse);
        }
        if self.len >= MAX_SAS {
            return Err(SpecError::TableFull);
        }
        if (self.len + 1) * 2 > self.spis.len() {
            self.grow();
        }
        self.place(spi, entry);
        Ok(())
    }

    /// Removes an SA and returns it.
    pub fn remove(&mut self, spi: u32) -> Option<T> {
        let mut hole = self.find(spi)?;
        let removed = self.entries[hole].take();
        self.spis[hole] = EMPTY;
        self.len -= 1;
        // Entries behind the hole that probed across it move into it, so that no probe ends too early.
        let mask = self.mask();
        let mut next = (hole + 1) & mask;
        while self.spis[next] != EMPTY {
            let home = self.home(self.spis[next]);
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.spis[hole] = core::mem::replace(&mut self.spis[next], EMPTY);
                self.entries[hole] = self.entries[next].take();
                hole = next;
            }
            next = (next + 1) & mask;
        }
        removed
    }

    /// The SA of a packet, to be changed.
    #[inline]
    pub fn get_mut(&mut self, spi: u32) -> Option<&mut T> {
        let place = self.find(spi)?;
        self.entries[place].as_mut()
    }

    /// The SA of a packet.
    #[inline]
    pub fn get(&self, spi: u32) -> Option<&T> {
        let place = self.find(spi)?;
        self.entries[place].as_ref()
    }

    /// Every SA, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.spis.iter().zip(&self.entries).filter_map(|(spi, entry)| Some((*spi, entry.as_ref()?)))
    }

    /// The number of SAs.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn find(&self, spi: u32) -> Option<usize> {
        if spi == EMPTY {
            return None;
        }
        let mask = self.mask();
        let mut place = self.home(spi);
        // Half of the places are empty, so the walk ends.
        loop {
            match self.spis[place] {
                EMPTY => return None,
                other if other == spi => return Some(place),
                _ => place = (place + 1) & mask,
            }
        }
    }

    fn place(&mut self, spi: u32, entry: T) {
        let mask = self.mask();
        let mut place = self.home(spi);
        while self.spis[place] != EMPTY {
            place = (place + 1) & mask;
        }
        self.spis[place] = spi;
        self.entries[place] = Some(entry);
        self.len += 1;
    }

    fn grow(&mut self) {
        let mut larger = Self::with_places(self.spis.len() * 2);
        for (spi, entry) in self.spis.iter().zip(&mut self.entries) {
            if let Some(entry) = entry.take() {
                larger.place(*spi, entry);
            }
        }
        *self = larger;
    }

    fn with_places(places: usize) -> Self {
        Self { spis: vec![EMPTY; places].into(), entries: (0..places).map(|_| None).collect(), len: 0 }
    }

    #[inline]
    fn home(&self, spi: u32) -> usize {
        spi as usize & self.mask()
    }

    #[inline]
    const fn mask(&self) -> usize {
        self.spis.len() - 1
    }
}

impl<T> Default for Sad<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The most SAs a table holds: 10,000 tunnels with an old and a new SA each, and room.
pub const MAX_SAS: usize = 1 << 16;

const EMPTY: u32 = 0;
const MIN_PLACES: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reserved_and_used_spis_are_refused_and_the_table_is_bounded() {
        let mut sad = Sad::new();
        assert_eq!(sad.insert(0, ()), Err(SpecError::ReservedSpi(0)));
        assert_eq!(sad.insert(255, ()), Err(SpecError::ReservedSpi(255)));
        for spi in 0..u32::try_from(MAX_SAS).unwrap() {
            sad.insert(256 + spi * 3, ()).unwrap();
        }
        assert_eq!(sad.insert(256, ()), Err(SpecError::SpiInUse));
        assert_eq!(sad.insert(u32::MAX, ()), Err(SpecError::TableFull));
        assert_eq!(sad.get(0), None);
        assert_eq!(sad.iter().count(), MAX_SAS);
    }

    proptest! {
        /// Few distinct homes, so that runs collide and wrap round the end.
        #[test]
        fn the_table_is_a_map(steps in proptest::collection::vec((any::<bool>(), 16u32..40, 0u32..4), 0..200)) {
            let (mut sad, mut map) = (Sad::new(), HashMap::new());
            for (insert, high, low) in steps {
                let spi = (high << 4) | ((14 + low) % 16);
                if insert {
                    prop_assert_eq!(sad.insert(spi, spi).is_ok(), map.insert(spi, spi).is_none());
                } else {
                    prop_assert_eq!(sad.remove(spi), map.remove(&spi));
                }
                prop_assert_eq!(sad.len(), map.len());
                for spi in map.keys() {
                    prop_assert_eq!(sad.get(*spi), Some(spi));
                }
            }
        }
    }
}
