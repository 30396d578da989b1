//! What a test from outside cannot provoke.

use super::*;
use crate::sys::sockopt;

#[test]
fn what_a_device_refuses_to_cut_leaves_one_by_one() {
    if let Err(why) = available() {
        return eprintln!("skipped: io_uring: {why}");
    }
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let sockets = Arc::new(Sockets::open(&[any], true).unwrap());
    let socket = sockets.socket(SocketId(0)).unwrap();
    if !socket.segments() {
        return eprintln!("skipped: this kernel has no UDP_SEGMENT");
    }
    // The kernel cuts nothing whose checksums it is not to compute.
    sockopt::send_without_checksum(socket).unwrap();
    let receiver = std::net::UdpSocket::bind(any).unwrap();
    let mut ring = Uring::new(Arc::clone(&sockets), false, Waker::new().unwrap()).unwrap();
    let route = ring.route(Wire::Udp, socket.local(), receiver.local_addr().unwrap()).unwrap();

    let lengths = [100, 100, 60, 200, 200, 200];
    let mut batch = ring.batch().unwrap();
    for (value, len) in (0..).zip(lengths) {
        batch.space(0, len).fill(value);
        batch.push(len, len, 0);
    }
    ring.send(QueueId(0), &route, batch);
    ring.waker.wake();
    ring.wait(&mut Vec::new()).unwrap();

    let mut outcomes = Vec::new();
    ring.outcomes(&mut outcomes);
    let sent = Sent { packets: 6, octets: 860, full: 0, failed: 0 };
    assert_eq!(outcomes, [Outcome::Sent(QueueId(0), sent)]);
    let mut buffer = [0; 300];
    for (value, len) in (0..).zip(lengths) {
        assert_eq!(receiver.recv(&mut buffer).unwrap(), len);
        assert!(buffer[..len].iter().all(|octet| *octet == value));
    }
}
