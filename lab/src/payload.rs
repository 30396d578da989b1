//! A long deterministic payload over one TCP connection between two hosts, hashed at both ends: what arrives is what was
//! sent, every octet of it.

use core::time::Duration;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use sha2::{Digest as _, Sha256};

use crate::Netns;

/// Sends `octets` from one host to an address of the other, and fails unless they arrive as they were sent.
pub fn carry(from: &Netns, to: &Netns, address: IpAddr, octets: u64, seed: u64) -> Result<()> {
    let listener = to.enter(|| Ok(TcpListener::bind(SocketAddr::new(address, 0))?))?;
    let target = listener.local_addr()?;
    let stream = from.enter(|| Ok(TcpStream::connect_timeout(&target, PATIENCE)?))?;
    let (accepted, _) = listener.accept()?;
    for end in [&stream, &accepted] {
        end.set_read_timeout(Some(PATIENCE))?;
        end.set_write_timeout(Some(PATIENCE))?;
    }
    thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(accepted));
        let sent = send(stream, octets, seed).with_context(|| format!("sending to {target}"))?;
        let (count, received) = receiver.join().map_err(|_| anyhow!("the receiver panicked"))??;
        ensure!(count == octets, "{count} of {octets} octets arrived (seed {seed})");
        ensure!(sent == received, "what arrived is not what was sent (seed {seed})");
        Ok(())
    })
}

fn send(mut stream: TcpStream, octets: u64, seed: u64) -> Result<Hash> {
    let (mut numbers, mut hash) = (Numbers(seed | 1), Sha256::new());
    let mut chunk = vec![0; CHUNK];
    let mut left = octets;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
        let chunk = chunk.get_mut(..now).context("chunk")?;
        numbers.fill(chunk);
        hash.update(&*chunk);
        stream.write_all(chunk)?;
        left -= now as u64;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    // The receiver closes when it has everything: until then what is on its way is not lost for our leaving.
    loop {
        match stream.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => break other.map(|_| hash.finalize().into()).context("waiting for the receiver"),
        }
    }
}

fn receive(mut stream: TcpStream) -> Result<(u64, Hash)> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut count = 0;
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok((count, hash.finalize().into())),
            Ok(length) => {
                hash.update(chunk.get(..length).context("chunk")?);
                count += length as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(|| format!("after {count} octets")),
        }
    }
}

/// xorshift64*: no two stretches are alike, so that a packet in the wrong place changes the hash.
struct Numbers(u64);

impl Numbers {
    fn fill(&mut self, chunk: &mut [u8]) {
        for eight in chunk.chunks_mut(8) {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let octets = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
            eight.iter_mut().zip(octets).for_each(|(to, octet)| *to = octet);
        }
    }
}

type Hash = [u8; 32];

const CHUNK: usize = 256 << 10;
/// How long a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_hash_the_same_octets_and_another_payload_otherwise() -> Result<()> {
        let carried = |octets, seed| -> Result<_> {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let stream = TcpStream::connect(listener.local_addr()?)?;
            let (accepted, _) = listener.accept()?;
            let sender = thread::spawn(move || send(stream, octets, seed));
            let received = receive(accepted)?;
            Ok((sender.join().map_err(|_| anyhow!("panicked"))??, received))
        };
        let octets = 3 * CHUNK as u64 + 5;
        let (sent, (count, received)) = carried(octets, 1)?;
        assert_eq!((count, sent), (octets, received));
        assert_ne!(carried(octets, 3)?.0, sent);
        assert_ne!(carried(octets - 1, 1)?.0, sent);
        Ok(())
    }
}
