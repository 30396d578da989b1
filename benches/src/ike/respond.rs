//! Our endpoint as responder of many clients, on one thread: what it computes it computes there.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use gotthard_benches::seeded::Seeded;
use gotthard_benches::tunnel;
use gotthard_ike::config::{Mode, PeerId};
use gotthard_ike::{Endpoint, Output, Time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::clients::client;
use super::port::{NATT_PORT, Port};

/// Whom it serves.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Our address
    #[arg(long)]
    local: IpAddr,
    /// How many clients there are
    #[arg(long)]
    clients: u8,
    /// Key exchange
    #[arg(long)]
    group: String,
}

/// Serves until it is ended.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut endpoint = Endpoint::new(Box::new(Seeded(0)));
    for number in 0..arguments.clients {
        let config = tunnel::config(Mode::Responder, arguments.local, client(number), &arguments.group);
        endpoint.add_peer(PeerId(number.into()), config);
    }
    let mut port = Port::new(UdpSocket::bind(SocketAddr::new(arguments.local, NATT_PORT))?)?;
    println!("ready");
    let start = Instant::now();
    let now = || Time::from_epoch(start.elapsed());
    loop {
        let deadline = drain(&mut endpoint, &mut port, now);
        let patience = deadline.map_or(PATIENCE, |at| (at - now()).min(PATIENCE));
        poll(&mut [PollFd::new(&port, PollFlags::IN)], Some(&Timespec::try_from(patience)?))?;
        while let Some((local, remote, payload)) = port.receive()? {
            endpoint.handle_datagram(now(), local, remote, payload);
            drain(&mut endpoint, &mut port, now);
        }
        endpoint.handle_timeout(now());
    }
}

fn drain(endpoint: &mut Endpoint, port: &mut Port, now: impl Fn() -> Time) -> Option<Time> {
    loop {
        match endpoint.poll_output() {
            Output::Transmit(transmit) => port.send(&transmit),
            Output::Compute(job) => endpoint.handle_computed(now(), job.run()),
            Output::Install(_) | Output::Event(_) | Output::Keepalive { .. } | Output::Keys(_) => {}
            Output::Timeout { at } => return at,
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(1);
