//! UDP sockets: who has our ports (/proc/net/udp), and how large a buffer one gets.

use std::fs;
use std::io;

use gotthard_dataplane::io::sockets::SOCKET_BUFFER;
use rustix::net::sockopt;
use socket2::{Domain, Socket, Type};

use super::processes::Processes;
use crate::doctor::facts::{Buffers, Holder};

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    port: u16,
    inode: u64,
    drops: u64,
}

/// The sockets on our ports, each with its program.
pub(super) fn holders(processes: &Processes) -> Vec<Holder> {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(|file| fs::read_to_string(file).unwrap_or_default());
    let lines: Vec<Line> = tables.iter().flat_map(|table| lines(table)).collect();
    let inodes: Vec<u64> = lines.iter().map(|line| line.inode).collect();
    let owners = processes.owners(&inodes);
    let holder =
        |line: Line| Holder { port: line.port, program: owners.get(&line.inode).cloned(), drops: line.drops };
    lines.into_iter().map(holder).collect()
}

/// Asks as the packet path does, and reads what it got: the kernel doubles what it grants, for its own needs.
pub(super) fn buffers() -> io::Result<Buffers> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let forced = sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER).is_ok()
        && sockopt::set_socket_send_buffer_size_force(&socket, SOCKET_BUFFER).is_ok();
    if !forced {
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
    }
    Ok(Buffers {
        receive: socket.recv_buffer_size()? / 2,
        send: socket.send_buffer_size()? / 2,
        wanted: SOCKET_BUFFER,
    })
}

/// The lines of our ports: number, local address and port in hexadecimal, …, the inode the tenth word, drops the last.
fn lines(table: &str) -> impl Iterator<Item = Line> {
    table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let port = u16::from_str_radix(words.get(1)?.rsplit_once(':')?.1, 16).ok()?;
        let (inode, drops) = (words.get(9)?.parse().ok()?, words.last()?.parse().ok()?);
        PORTS.contains(&port).then_some(Line { port, inode, drops })
    })
}

/// IKE (RFC 7296 §2), and IKE and ESP behind translators (RFC 3948).
const PORTS: [u16; 2] = [500, 4500];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_ports_are_found_in_the_kernels_table() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n\
                     15: 0A7100CB:1194 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 48879 2 0000000000000000 17\n\
                     16: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000000000000000 0\n\
                     17: 00000000000000000000000000000000:01F4 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 51966 2 0000000000000000 0\n\
                     cut: 0A7100CB:1194\n";
        let expected =
            [Line { port: 4500, inode: 48879, drops: 17 }, Line { port: 500, inode: 51966, drops: 0 }];
        assert_eq!(lines(table).collect::<Vec<_>>(), expected);
    }
}
