//! The ring over pairs of sockets.

use std::os::unix::net::UnixDatagram;

use super::*;

const FILE: File = File(0);

/// A ring, the far end of its one file, and how it reads.
fn ring(multishot_reads: bool) -> Option<(Ring, UnixDatagram)> {
    if let Err(why) = available() {
        eprintln!("skipped: io_uring: {why}");
        return None;
    }
    let mut ring = Ring::new(4).unwrap();
    ring.multishot_reads &= multishot_reads;
    let (far, near) = UnixDatagram::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    ring.register(FILE, &near).unwrap();
    Some((ring, far))
}

/// Reads as many frames, each a number, and begins a read for each that is over.
fn read(ring: &mut Ring, count: usize) -> Vec<u8> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        ring.provide(Group::Reads);
        ring.wait(1).unwrap();
        while let Some(completion) = ring.completion() {
            let Completion::Read { file: FILE, result, more } = completion else { panic!("{completion:?}") };
            let (buffer, len) = result.unwrap();
            numbers.extend_from_slice(&buffer.bytes()[..len]);
            ring.give(Group::Reads, buffer);
            if !more {
                ring.read(FILE);
            }
        }
    }
    numbers
}

#[test]
fn frames_are_read_in_order_with_and_without_multishot_reads() {
    for multishot in [true, false] {
        let Some((mut ring, far)) = ring(multishot) else { return };
        ring.provide(Group::Reads);
        (0..ring.reads_wanted()).for_each(|_| ring.read(FILE));
        for start in (0..200).step_by(10) {
            let sent: Vec<u8> = (start..start + 10).collect();
            for number in &sent {
                far.send(&[*number]).unwrap();
            }
            assert_eq!(read(&mut ring, 10), sent, "multishot: {multishot}");
        }
    }
}

#[test]
fn a_read_ends_when_the_kernel_has_no_buffer_and_loses_nothing() {
    let Some((mut ring, far)) = ring(true) else { return };
    ring.set_depth(Group::Reads, 2);
    assert_eq!(ring.provide(Group::Reads), 2);
    ring.read(FILE);
    for number in 0..3 {
        far.send(&[number]).unwrap();
    }
    ring.wait(3).unwrap();
    let mut held = Vec::new();
    for expected in 0..2 {
        let Some(Completion::Read { result: Ok((buffer, 1)), .. }) = ring.completion() else { panic!() };
        assert_eq!(buffer.bytes()[0], expected);
        held.push(buffer);
    }
    let Some(Completion::Read { result: Err(Errno::NOBUFS), more: false, .. }) = ring.completion() else {
        panic!()
    };
    assert_eq!(ring.provide(Group::Reads), 2, "others wait, and those two are away");
    ring.read(FILE);
    assert_eq!(read(&mut ring, 1), [2]);
}

#[test]
fn more_requests_than_the_queue_holds_are_all_done() {
    let Some((mut ring, _far)) = ring(true) else { return };
    let requests = 1000;
    for _ in 0..requests {
        ring.cancel(File(1));
    }
    assert_eq!(ring.at_once(), requests);
    ring.wait(requests).unwrap();
    assert!(ring.completion().is_none());
    assert_eq!(ring.at_once(), 0);
}

#[test]
fn a_file_beyond_the_table_is_refused() {
    let Some((mut ring, far)) = ring(true) else { return };
    assert!(ring.register(File(4), &far).is_err());
    assert!(ring.register(File(u32::MAX), &far).is_err());
}

#[test]
fn a_token_tells_what_completed() {
    for kind in [Kind::Cancel, Kind::Poll, Kind::Read, Kind::Receive, Kind::Send, Kind::Write] {
        for (index, part) in [(0, 0), (1, 2), (8191, 0), (u32::MAX as usize, 0x00ff_ffff)] {
            assert_eq!(Kind::of(token(kind, index, part)), Some((kind, index, part)));
        }
    }
    assert_eq!(Kind::of(u64::MAX), None);
}
