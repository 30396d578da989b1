//! A TUN device that somebody else deletes, under each back end. Needs root.

#![allow(clippy::unwrap_used, reason = "a failed test is what a panic is for")]

mod tun_support;

use std::sync::mpsc;
use std::time::Duration;

use gotthard_dataplane::esp::transform::Transform;
use gotthard_dataplane::handle::{BackendChoice, Command, Handle, Notice, Options, Reply};
use gotthard_dataplane::sa::spec::Encapsulation;
use tun_support::{Hosts, Static, TUN, TUNNEL, offered};

#[test]
fn a_tunnel_whose_device_is_deleted_is_reported_and_can_be_made_again() {
    for backend in [BackendChoice::IoUring, BackendChoice::Syscalls] {
        if offered(backend) {
            is_reported(backend);
        }
    }
}

fn is_reported(backend: BackendChoice) {
    let Some(hosts) = Hosts::new() else { return };
    let [mut tunnel, _] = Static::pair(Transform::Aes256Gcm16, Encapsulation::Udp, false);
    let options = Options { backend, ..Options::default() };
    let (sender, notices) = mpsc::channel();
    let handle = hosts.left.inside(move || {
        let handle = Handle::start(&options, move |notice| drop(sender.send(notice))).unwrap();
        tunnel.install(&handle);
        handle
    });
    hosts.left.ip(&["link", "set", TUN, "up"]).unwrap();
    hosts.left.ip(&["link", "delete", TUN]).unwrap();
    let notice = notices.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(matches!(notice, Notice::Broken { tunnel: Some(TUNNEL), .. }), "{backend:?}: {notice:?}");

    assert!(matches!(handle.call(Command::RemoveTunnel(TUNNEL)), Reply::Done));
    (tunnel.ours, tunnel.theirs) = (0x2001, 0x2002);
    let _handle = hosts.left.inside(move || {
        tunnel.install(&handle);
        handle
    });
    hosts.left.ip(&["link", "show", TUN]).unwrap();
}
