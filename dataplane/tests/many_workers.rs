//! Several workers that send with one SA: flows stay in order inside, and the peer's replay window, narrow or wide, drops
//! nothing. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a failed test is what a panic is for"
)]

mod tun_support;

use gotthard_dataplane::drop_reason::DropReason;
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::{BackendChoice, Options};
use gotthard_dataplane::sa::spec::Encapsulation;
use tun_support::numbered::exchange;
use tun_support::{Hosts, Static, offered, set_up, start, stats};

#[test]
fn flows_stay_in_order_and_in_a_narrow_window_over_system_calls() {
    stays_in_order(BackendChoice::Syscalls, 128);
}

#[test]
fn flows_stay_in_order_and_in_a_wide_window_over_system_calls() {
    stays_in_order(BackendChoice::Syscalls, 1024);
}

#[test]
fn flows_stay_in_order_and_in_a_narrow_window_over_io_uring() {
    stays_in_order(BackendChoice::IoUring, 128);
}

#[test]
fn flows_stay_in_order_and_in_a_wide_window_over_io_uring() {
    stays_in_order(BackendChoice::IoUring, 1024);
}

/// Every worker sends with the one SA, and helps the one that receives.
fn stays_in_order(backend: BackendChoice, window: u32) {
    if !offered(backend) {
        return;
    }
    for (workers, offloads, transform) in [
        (2, true, Transform::Aes256Gcm16),
        (3, true, Transform::Aes256Cbc(Hmac::Sha256)),
        (3, false, Transform::Aes256Gcm16),
        (4, true, Transform::Aes256Gcm16),
    ] {
        let Some(hosts) = Hosts::new() else { return };
        let ends = Static::pair(transform, Encapsulation::Udp, false);
        let [left, right] = ends.map(|end| Static { window, ..end });
        let options = Options { backend, workers, offloads, ..Options::default() };
        let planes = [start(&hosts.left, options.clone(), left), start(&hosts.right, options, right)];
        set_up(&hosts.left, "1");
        set_up(&hosts.right, "2");

        let seen = exchange(&hosts, FLOWS, PACKETS, || {});

        let counted = planes.each_ref().map(stats);
        let what = format!("{workers} workers, offloads {offloads}, {transform:?}");
        assert!(seen.is_whole(), "{what}: {seen:?}, {counted:?}");
        for reason in [DropReason::Replay, DropReason::ReplayLate, DropReason::Icv] {
            assert!(counted.iter().all(|stats| stats.drops.of(reason) == 0), "{what}: {counted:?}");
        }
    }
}

/// More than queues, so that every queue has some.
const FLOWS: u16 = 8;
/// Each way in each flow.
const PACKETS: u64 = 1000;
