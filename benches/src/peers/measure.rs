//! One cell of one candidate: traffic, and what the gateways spent on it.

use core::time::Duration;

use anyhow::Result;

use super::cell::Cell;
use super::generator::Load;
use super::udp::Best;
use super::up::Up;
use super::usage::Watched;
use super::{tcp, udp};
use crate::report::Figure;

/// Measures once.
pub(super) fn measure(up: &mut Up, cell: Cell, seconds: u32) -> Result<Figure> {
    up.bed.set_path(cell.path())?;
    match cell {
        Cell::Tcp { flows, sender, .. } => {
            let gateways = up.gateways();
            let before = cpu(gateways)?;
            let streams = tcp::run(&up.bed, &up.dir, flows, sender, seconds)?;
            let cpu = spent(before, cpu(gateways)?, streams.bits);
            let retransmits = Some(streams.retransmits);
            Ok(Figure { gbps: streams.rate / GIGA, cpu, retransmits, ..Figure::default() })
        }
        Cell::Udp { size, .. } => highest(up, &Load::of(size)),
        Cell::Flows => highest(up, &Load::flows()),
    }
}

fn highest(up: &Up, load: &Load) -> Result<Figure> {
    let gateways = up.gateways();
    let Best { step, before, after, reordered } = udp::search(&up.bed, load, || cpu(gateways))?;
    Ok(Figure {
        gbps: step.rate() / GIGA,
        packets: Some(step.packets()),
        cpu: spent(before, after, step.bits()),
        retransmits: None,
        loss: Some(step.loss()),
        reordered,
    })
}

type Spent = Option<[Duration; 2]>;

fn cpu(gateways: Option<[Watched; 2]>) -> Result<Spent> {
    let Some([left, right]) = gateways else { return Ok(None) };
    Ok(Some([left.cpu()?, right.cpu()?]))
}

/// Seconds on a core for each gigabit, left and right.
fn spent(before: Spent, after: Spent, bits: f64) -> Option<[f64; 2]> {
    let ([left_before, right_before], [left, right]) = (before?, after?);
    let per_gigabit = |spent: Duration| spent.as_secs_f64() / (bits / GIGA);
    Some([per_gigabit(left.saturating_sub(left_before)), per_gigabit(right.saturating_sub(right_before))])
}

const GIGA: f64 = 1e9;
