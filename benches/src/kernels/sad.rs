//! The lookup of an SA by its SPI.

use std::cell::LazyCell;
use std::rc::Rc;

use gotthard_dataplane::sa::sad::Sad;

use super::Kernel;
use crate::seeded::Seeded;

const LOOKUPS: usize = 1024;

/// As large as what a worker keeps an SA: the SA behind a pointer, its window, its queue.
type Entry = [u64; 8];

struct Table {
    sad: Sad<Entry>,
    /// SPIs in the order of arrival.
    arriving: Vec<u32>,
}

pub(super) fn kernels() -> Vec<Kernel> {
    [1, 10_000]
        .into_iter()
        .map(|sas| {
            let table = LazyCell::new(move || Rc::new(Table::new(sas)));
            Kernel::new("sad", sas.to_string(), LOOKUPS, move || Rc::clone(&table), look_up)
        })
        .collect()
}

impl Table {
    fn new(sas: usize) -> Self {
        let mut seeded = Seeded(2);
        let mut sad = Sad::new();
        let mut spis = Vec::new();
        while spis.len() < sas {
            let spi = (seeded.next() >> 32) as u32;
            if sad.insert(spi, [seeded.next(); 8]).is_ok() {
                spis.push(spi);
            }
        }
        let arriving = spis.iter().copied().cycle().take(LOOKUPS).collect();
        Self { sad, arriving }
    }
}

fn look_up(table: &mut Rc<Table>) -> u64 {
    let find = |spi: &u32| table.sad.get(*spi).expect("an SA")[0];
    table.arriving.iter().map(find).fold(0, u64::wrapping_add)
}
