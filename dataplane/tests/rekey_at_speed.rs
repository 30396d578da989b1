//! SAs are replaced one after the other under load: the swap loses and reorders nothing. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a failed test is what a panic is for"
)]

mod tun_support;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::{BackendChoice, Command, Handle, Options};
use gotthard_dataplane::sa::spec::Encapsulation;
use tun_support::numbered::{BLOCK, exchange};
use tun_support::{Hosts, Static, TUNNEL, done, gateway_stats, offered, set_up, start, stats};

#[test]
fn a_swap_loses_and_reorders_nothing_over_system_calls() {
    swaps(BackendChoice::Syscalls, 1, Transform::Aes256Gcm16);
}

#[test]
fn a_swap_loses_and_reorders_nothing_over_io_uring() {
    swaps(BackendChoice::IoUring, 1, Transform::Aes256Cbc(Hmac::Sha256));
}

#[test]
fn a_swap_between_workers_loses_and_reorders_nothing_over_system_calls() {
    swaps(BackendChoice::Syscalls, 3, Transform::Aes256Cbc(Hmac::Sha256));
}

#[test]
fn a_swap_between_workers_loses_and_reorders_nothing_over_io_uring() {
    swaps(BackendChoice::IoUring, 3, Transform::Aes256Gcm16);
}

/// Both directions are rekeyed whenever a block of packets has arrived.
fn swaps(backend: BackendChoice, workers: usize, transform: Transform) {
    if !offered(backend) {
        return;
    }
    let Some(hosts) = Hosts::new() else { return };
    let mut pair = Static::pair(transform, Encapsulation::Udp, false);
    let options = Options { backend, workers, ..Options::default() };
    let planes = [start(&hosts.left, options.clone(), pair[0]), start(&hosts.right, options, pair[1])];
    set_up(&hosts.left, "1");
    set_up(&hosts.right, "2");

    let mut generations = vec![pair];
    let seen = exchange(&hosts, FLOWS, SWAPS * BLOCK / u64::from(2 * FLOWS), || {
        pair = pair.map(Static::rekeyed);
        rekey(&planes, pair);
        generations.push(pair);
        // As IKE deletes an old SA: not before its last packets have had time to arrive.
        if let Some(old) = generations.len().checked_sub(1 + KEPT) {
            forget(&planes, generations[old]);
        }
    });

    let counted = planes.each_ref().map(stats);
    assert!(seen.is_whole(), "{backend:?}, {workers} workers: {seen:?}, {counted:?}");
    assert!(generations.len() > 10, "{} generations", generations.len());
    for (stats, plane) in counted.iter().zip(&planes) {
        for reason in [DropReason::Replay, DropReason::ReplayLate, DropReason::Icv, DropReason::NoOutboundSa]
        {
            assert_eq!(stats.drops.of(reason), 0, "{stats:?}");
        }
        assert_eq!(gateway_stats(plane).drops.of(DropReason::UnknownSpi), 0);
    }
}

/// In the order of a rekey (RFC 7296 §2.8): an end can receive with the new SA before the other sends with it.
fn rekey(planes: &[Handle; 2], pair: [Static; 2]) {
    for (plane, end) in planes.iter().zip(&pair) {
        done(plane, Command::InstallInbound(end.inbound()));
    }
    for (plane, end) in planes.iter().zip(&pair) {
        done(plane, Command::InstallOutbound(end.outbound()));
    }
}

fn forget(planes: &[Handle; 2], old: [Static; 2]) {
    for (plane, end) in planes.iter().zip(&old) {
        done(plane, Command::RemoveInbound { tunnel: TUNNEL, spi: end.ours });
    }
}

const FLOWS: u16 = 2;
/// Of both flows and directions together.
const SWAPS: u64 = 40;
/// Generations that can still receive, the newest included.
const KEPT: usize = 3;
