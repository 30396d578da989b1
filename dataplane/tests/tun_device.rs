//! The life of a TUN device. Needs root. One test, alone in its process: a program that another test starts holds a copy
//! of every descriptor for a moment, and with it the device.

mod tun_support;

use gotthard_dataplane::esp::transform::Transform;
use gotthard_dataplane::handle::{Command, Options, Reply};
use gotthard_dataplane::sa::spec::Encapsulation;
use tun_support::{Hosts, Static, TUN, TUNNEL, start};

#[test]
fn a_removed_tunnel_leaves_no_device_and_its_name_is_free_at_once() {
    let Some(hosts) = Hosts::new() else { return };
    let [mut tunnel, _] = Static::pair(Transform::Aes256Gcm16, Encapsulation::Udp, false);
    let handle = start(&hosts.left, Options { workers: 3, ..Options::default() }, tunnel);
    hosts.left.ip(&["link", "show", TUN]).unwrap();

    // The same keys would repeat every nonce.
    assert!(matches!(handle.call(Command::InstallOutbound(tunnel.outbound())), Reply::Refused(_)));
    assert!(matches!(handle.call(Command::RemoveTunnel(TUNNEL)), Reply::Done));
    hosts.left.ip(&["link", "show", TUN]).unwrap_err();
    assert!(matches!(handle.call(Command::RemoveTunnel(TUNNEL)), Reply::Refused(_)));

    (tunnel.ours, tunnel.theirs) = (0x2001, 0x2002);
    let handle = hosts.left.inside(move || {
        tunnel.install(&handle);
        handle
    });
    hosts.left.ip(&["link", "show", TUN]).unwrap();
    drop(handle);
    hosts.left.ip(&["link", "show", TUN]).unwrap_err();
}
