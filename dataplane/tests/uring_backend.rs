//! The back end of io_uring alone: sockets on loopback, pairs of datagram sockets in place of TUN devices.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed test is what a panic is for, and a skipped one says so"
)]

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use gotthard_dataplane::batch::Batch;
use gotthard_dataplane::io::sockets::Sockets;
use gotthard_dataplane::io::tun::TunQueue;
use gotthard_dataplane::io::uring::{Uring, available};
use gotthard_dataplane::io::{
    Backend, Datagram, Outcome, Piece, QueueId, Route, Sent, SocketId, Source, Wire, Writes,
};
use gotthard_dataplane::sys::wake::Waker;

/// A back end that receives on loopback, and sends to itself.
struct Loop {
    backend: Uring,
    waker: Waker,
    sockets: Arc<Sockets>,
    route: Route,
    ready: Vec<Source>,
}

impl Loop {
    /// `None`, with the reason on standard error, where there is no io_uring.
    fn new() -> Option<Self> {
        if let Err(why) = available() {
            eprintln!("skipped: io_uring: {why}");
            return None;
        }
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let sockets = Arc::new(Sockets::open(&[any], true).unwrap());
        let waker = Waker::new().unwrap();
        let backend = Uring::new(Arc::clone(&sockets), true, waker.clone()).unwrap();
        let address = sockets.socket(SOCKET).unwrap().local();
        let route = backend.route(Wire::Udp, address, address).unwrap();
        Some(Self { backend, waker, sockets, route, ready: Vec::new() })
    }

    /// The host's side of a queue that it serves.
    fn attach(&mut self) -> (UnixDatagram, QueueId) {
        let (host, device) = UnixDatagram::pair().unwrap();
        device.set_nonblocking(true).unwrap();
        host.set_read_timeout(Some(PATIENCE)).unwrap();
        (host, self.backend.attach(TunQueue::from_fd(device.into())).unwrap())
    }

    fn wait(&mut self) -> &[Source] {
        self.backend.wait(&mut self.ready).unwrap();
        &self.ready
    }

    /// Sends datagrams of these lengths, each filled with its place in the list.
    fn send(&mut self, lengths: &[usize]) {
        let mut batch = self.backend.batch().unwrap();
        fill(&mut batch, lengths);
        self.backend.send(QUEUE, &self.route, batch);
    }

    /// Receives until there are `count` datagrams, and gives their buffers back with each burst.
    fn receive(&mut self, count: usize) -> Vec<Vec<u8>> {
        let (mut received, mut burst) = (Vec::new(), Vec::new());
        while received.len() < count {
            self.wait();
            self.backend.receive(SOCKET, &mut burst).unwrap();
            received.extend(burst.iter().flat_map(datagrams));
            self.backend.deliver(&mut burst, &Writes::default());
        }
        received
    }

    /// Waits until what became of `packets` packets is known.
    fn sent(&mut self, packets: u64) -> Sent {
        let (mut sum, mut outcomes) = (Sent::default(), Vec::new());
        while sum.packets + sum.full + sum.failed < packets {
            self.waker.wake();
            self.wait();
            self.backend.outcomes(&mut outcomes);
            for outcome in outcomes.drain(..) {
                if let Outcome::Sent(QUEUE, sent) = outcome {
                    sum.add(&sent);
                }
            }
        }
        sum
    }
}

fn fill(batch: &mut Batch, lengths: &[usize]) {
    for (value, len) in (0..).zip(lengths) {
        batch.space(0, *len).fill(value);
        batch.push(*len, *len, 0);
    }
}

fn datagrams(datagram: &Datagram) -> Vec<Vec<u8>> {
    let octets = &datagram.buffer.bytes()[datagram.payload.clone()];
    octets.chunks(datagram.segment.max(1)).map(<[u8]>::to_vec).collect()
}

fn filled(lengths: &[usize]) -> Vec<Vec<u8>> {
    (0..).zip(lengths).map(|(value, len)| vec![value; *len]).collect()
}

#[test]
fn a_batch_arrives_in_order_and_is_counted() {
    let Some(mut looped) = Loop::new() else { return };
    let lengths = [1400, 1400, 1400, 300, 900, 900, 5];
    for _ in 0..50 {
        looped.send(&lengths);
        assert_eq!(looped.receive(lengths.len()), filled(&lengths));
        let sent = looped.sent(7);
        assert_eq!(sent, Sent { packets: 7, octets: 6305, full: 0, failed: 0 });
    }
}

#[test]
fn a_datagram_tells_who_sent_it_and_where_to() {
    let Some(mut looped) = Loop::new() else { return };
    looped.backend.send_datagram(&looped.route.clone(), b"keepalive").unwrap();
    assert_eq!(looped.wait(), [Source::Socket(SOCKET)]);
    let mut burst = Vec::new();
    looped.backend.receive(SOCKET, &mut burst).unwrap();
    let [datagram] = burst.as_slice() else { panic!("{burst:?}") };
    assert_eq!((datagram.remote, datagram.local), (looped.route.remote, Some(looped.route.local)));
    assert_eq!((datagrams(datagram), datagram.truncated), (vec![b"keepalive".to_vec()], false));
}

#[test]
fn more_datagrams_than_there_are_buffers_arrive_in_order() {
    let Some(mut looped) = Loop::new() else { return };
    // One at a time, and of no two equal lengths one after the other, so that nothing puts them together.
    let lengths: Vec<usize> = (0..200).map(|n| 100 + n % 2).collect();
    for len in &lengths {
        looped.send(&[*len]);
        // All batches on their way are sent when there is none left.
    }
    let lens: Vec<usize> = looped.receive(200).iter().map(Vec::len).collect();
    assert_eq!(lens, lengths);
}

#[test]
fn more_frames_than_there_are_buffers_are_read_in_order() {
    let Some(mut looped) = Loop::new() else { return };
    let (host, queue) = looped.attach();
    let writer = std::thread::spawn(move || {
        for n in 0..1000_u32 {
            host.send(&n.to_be_bytes()).unwrap();
        }
        host
    });
    let mut expected = 0..1000_u32;
    while !expected.is_empty() {
        assert_eq!(looped.wait(), [Source::Tun(queue)]);
        while let Some(frame) = looped.backend.read_tun(queue).unwrap() {
            assert_eq!(frame.buffer.bytes()[frame.octets], expected.next().unwrap().to_be_bytes());
            looped.backend.release(frame.buffer);
        }
    }
    writer.join().unwrap();
}

#[test]
fn a_queue_that_is_never_empty_leaves_buffers_to_others() {
    let Some(mut looped) = Loop::new() else { return };
    let (busy, busy_queue) = looped.attach();
    let (quiet, quiet_queue) = looped.attach();
    busy.set_nonblocking(true).unwrap();
    // The device's receive queue is full before every turn.
    let refill = || while busy.send(b"busy").is_ok() {};
    refill();
    looped.wait();
    quiet.send(b"quiet").unwrap();
    for _ in 0..1000 {
        refill();
        looped.wait();
        while let Some(frame) = looped.backend.read_tun(busy_queue).unwrap() {
            looped.backend.release(frame.buffer);
        }
        if looped.backend.read_tun(quiet_queue).unwrap().is_some() {
            return;
        }
    }
    panic!("the quiet queue was never read");
}

#[test]
fn frames_are_gathered_from_pieces_of_a_burst() {
    let Some(mut looped) = Loop::new() else { return };
    let (host, queue) = looped.attach();
    for round in 0..100 {
        looped.send(&[10, 11]);
        let mut burst = Vec::new();
        while burst.iter().flat_map(datagrams).count() < 2 {
            looped.wait();
            looped.backend.receive(SOCKET, &mut burst).unwrap();
        }
        let last = burst.len() - 1;
        let (first, end) = (burst[0].payload.start, burst[last].payload.end);
        let mut writes = Writes::default();
        writes.push(queue, 1, [Piece { datagram: 0, octets: first..first + 3 }]);
        let tail = Piece { datagram: last, octets: end - 2..end };
        writes.push(queue, 2, [Piece { datagram: 0, octets: first..first + 1 }, tail]);
        looped.backend.deliver(&mut burst, &writes);
        assert!(burst.is_empty(), "round {round}");
        looped.waker.wake();
        looped.wait();
        for expected in [&[0, 0, 0], &[0, 1, 1]] {
            let mut frame = [0xff; 8];
            let len = host.recv(&mut frame).unwrap();
            assert_eq!(&frame[..len], expected, "round {round}");
        }
    }
}

#[test]
fn a_frame_that_the_device_does_not_take_is_told() {
    let Some(mut looped) = Loop::new() else { return };
    let (full_host, full) = looped.attach();
    let (gone_host, gone) = looped.attach();
    let (_, detached) = looped.attach();
    drop(gone_host);
    looped.backend.detach(detached);
    let (mut seen, mut outcomes) = (Vec::<(QueueId, u64, bool)>::new(), Vec::new());
    // A socket pair takes no more than net.unix.max_dgram_qlen.
    while !seen.iter().any(|(queue, ..)| *queue == full) {
        looped.send(&[10]);
        let mut burst = Vec::new();
        while burst.is_empty() {
            looped.wait();
            looped.backend.receive(SOCKET, &mut burst).unwrap();
        }
        let piece = Piece { datagram: 0, octets: burst[0].payload.clone() };
        let mut writes = Writes::default();
        for queue in [full, gone, detached] {
            writes.push(queue, 3, [piece.clone()]);
        }
        looped.backend.deliver(&mut burst, &writes);
        looped.waker.wake();
        looped.wait();
        looped.backend.outcomes(&mut outcomes);
        seen.extend(outcomes.drain(..).filter_map(|outcome| match outcome {
            Outcome::NotWritten { queue, packets, full } => Some((queue, packets, full)),
            Outcome::Sent(..) => None,
        }));
    }
    assert!(seen.contains(&(full, 3, true)) && !seen.contains(&(full, 3, false)), "{seen:?}");
    assert!(seen.contains(&(gone, 3, false)) && seen.contains(&(detached, 3, false)), "{seen:?}");
    drop(full_host);
}

#[test]
fn a_wake_up_ends_the_wait_and_none_is_lost() {
    let Some(mut looped) = Loop::new() else { return };
    let waker = looped.waker.clone();
    let (ask, asked) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        for () in asked {
            waker.wake();
        }
    });
    for _ in 0..1000 {
        ask.send(()).unwrap();
        assert_eq!(looped.wait(), [Source::Mailbox]);
    }
    drop(ask);
    other.join().unwrap();
}

#[test]
fn a_detached_queue_is_closed_and_its_number_is_used_again() {
    let Some(mut looped) = Loop::new() else { return };
    for round in 0..200 {
        let (host, queue) = looped.attach();
        assert_eq!(queue, QueueId(0), "round {round}");
        host.send(b"frame").unwrap();
        if round % 2 == 0 {
            assert_eq!(looped.wait(), [Source::Tun(queue)]);
        }
        looped.backend.detach(queue);
        // The other end is closed, so nobody holds it any more: not the table of files, no request.
        assert!(host.send(b"frame").is_err(), "round {round}");
        assert!(looped.backend.read_tun(queue).is_err(), "round {round}");
    }
    let (host, queue) = looped.attach();
    host.send(b"frame").unwrap();
    assert_eq!(looped.wait(), [Source::Tun(queue)]);
}

#[test]
fn a_worker_that_panics_leaves_no_request_behind() {
    if let Err(why) = available() {
        return eprintln!("skipped: io_uring: {why}");
    }
    let (sender, hosts) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || {
        let mut looped = Loop::new().unwrap();
        for _ in 0..20 {
            let (host, _) = looped.attach();
            host.send(b"frame").unwrap();
            sender.send(host).unwrap();
        }
        // Armed, with frames in the stash, a batch that the kernel has not been given, and a wake-up.
        looped.wait();
        looped.send(&[100; 64]);
        looped.waker.wake();
        std::panic::panic_any("as a broken worker would");
    });
    assert!(worker.join().is_err());
    for host in hosts {
        assert!(host.send(b"frame").is_err(), "a queue is still open");
    }
}

#[test]
fn nothing_needs_a_thread_of_the_kernels() {
    let Some(mut looped) = Loop::new() else { return };
    let (host, queue) = looped.attach();
    for n in 0..100 {
        host.send(&[n]).unwrap();
        looped.send(&[1000; 64]);
        looped.receive(64);
        while let Some(frame) = looped.backend.read_tun(queue).unwrap() {
            looped.backend.release(frame.buffer);
        }
    }
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("comm"));
    // A thread of another test may end meanwhile.
    let names: Vec<_> = tasks.filter_map(|comm| std::fs::read_to_string(comm).ok()).collect();
    assert!(!names.iter().any(|name| name.starts_with("iou-wrk")), "{names:?}");
}

#[test]
fn sockets_close_with_the_last_that_holds_them() {
    let Some(looped) = Loop::new() else { return };
    let Loop { backend, sockets, route, .. } = looped;
    drop(backend);
    drop(sockets);
    assert!(std::net::UdpSocket::bind(route.remote).is_ok());
}

/// The one UDP socket.
const SOCKET: SocketId = SocketId(0);

/// A queue to count for; none needs to have this number.
const QUEUE: QueueId = QueueId(7);

/// How long what takes a millisecond may take.
const PATIENCE: Duration = Duration::from_secs(10);
