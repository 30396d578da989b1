//! Tunnels with fixed keys, and no IKE: the packet path by itself, as the side-by-side bench and its tests want it.
//!
//! It prints what runs, as `runs BACKEND …`, and `ready` when the devices exist; address them and set them up with ip(8). It
//! ends at SIGINT or SIGTERM and prints what was dropped, one `drop REASON COUNT` a line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::{BackendChoice, Command, Handle, Options, Reply, Report};
use gotthard_dataplane::sa::spec::{
    AddressRange, Encapsulation, InboundSpec, Keys, Lifetime, OutboundSpec, OuterPath, Selectors, TunnelId,
    TunnelSpec,
};
use gotthard_dataplane::stats::Drops;

use crate::interrupt;

/// What the gateway is told.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// TUN device to create; with several tunnels, each has its number behind it
    interface: String,
    /// Our outer address
    local: IpAddr,
    /// The other gateway's outer address
    remote: IpAddr,
    /// Which end this is: the keys of one end's outbound SAs are those of the other's inbound SAs
    end: End,
    /// How ESP crosses the outer network
    #[arg(long, value_enum, default_value = "udp")]
    wire: Wire,
    /// Cipher and integrity
    #[arg(long, value_enum, default_value = "aes256gcm16")]
    transform: Suite,
    /// How packets are moved
    #[arg(long, value_enum, default_value = "auto")]
    backend: Backend,
    /// Worker threads
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Without TSO, USO, UDP_SEGMENT and UDP_GRO
    #[arg(long)]
    no_offloads: bool,
    /// Tunnels, each with a TUN device of its own
    #[arg(long, default_value_t = 1)]
    tunnels: u32,
    /// Inbound SAs of each tunnel; the peer sends on the first
    #[arg(long, default_value_t = 1)]
    inbound_sas: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum End {
    Left,
    Right,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wire {
    Udp,
    Esp,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Backend {
    Auto,
    IoUring,
    Syscalls,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Suite {
    #[value(name = "aes128gcm16")]
    Aes128Gcm16,
    #[value(name = "aes256gcm16")]
    Aes256Gcm16,
    #[value(name = "chacha20poly1305")]
    ChaCha20Poly1305,
    #[value(name = "aes128-sha256")]
    Aes128Sha256,
    #[value(name = "aes256-sha256")]
    Aes256Sha256,
    #[value(name = "aes256-sha384")]
    Aes256Sha384,
    #[value(name = "aes256-sha512")]
    Aes256Sha512,
}

/// Serves the tunnels until a signal comes.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let signalled = interrupt::catch()?;
    if cfg!(gotthard_no_crypto) {
        eprintln!("gotthard-benches: this build neither encrypts nor checks anything");
    }
    let options = Options {
        workers: arguments.workers,
        backend: arguments.backend.into(),
        offloads: !arguments.no_offloads,
        ..Options::default()
    };
    let handle = Handle::start(&options, |notice| eprintln!("{notice:?}"))?;
    for number in 0..arguments.tunnels {
        arguments.add_tunnel(&handle, number)?;
    }
    let Report { backend, workers, offloads, cbc } = handle.report();
    println!("runs {backend}, workers {workers}, {}, CBC {cbc}", offloads.join(" "));
    println!("ready");
    // The sender's thread never ends: only a signal can end the wait.
    let _ = signalled.recv();
    print_drops(&handle);
    Ok(())
}

impl Arguments {
    fn add_tunnel(&self, handle: &Handle, number: u32) -> Result<()> {
        let id = TunnelId(number);
        let interface = match self.tunnels {
            1 => self.interface.clone(),
            _ => format!("{}{number}", self.interface),
        };
        let tunnel = TunnelSpec { id, interface, mtu_cap: MTU_CAP, outer_mtu: OUTER_MTU };
        done(handle.call(Command::AddTunnel(tunnel)))?;
        let (ours, theirs) = match self.end {
            End::Left => (LEFT, RIGHT),
            End::Right => (RIGHT, LEFT),
        };
        let first = number * self.inbound_sas;
        for spi in (ours + first..).take(self.inbound_sas as usize) {
            done(handle.call(Command::InstallInbound(inbound_spec(id, spi, self.transform.into()))))?;
        }
        done(handle.call(Command::InstallOutbound(outbound_spec(
            id,
            theirs + first,
            self.transform.into(),
            self.path(),
        ))))
    }

    fn path(&self) -> OuterPath {
        let encapsulation = match self.wire {
            Wire::Udp => Encapsulation::Udp,
            Wire::Esp => Encapsulation::Esp,
        };
        let address = |ip| SocketAddr::new(ip, 4500);
        OuterPath { local: address(self.local), remote: address(self.remote), encapsulation }
    }
}

/// An SA for any packet that arrives, its keys made from its SPI.
pub(crate) fn inbound_spec(tunnel: TunnelId, spi: u32, transform: Transform) -> InboundSpec {
    InboundSpec {
        tunnel,
        spi,
        transform,
        keys: keys(transform, spi),
        esn: true,
        replay_window: REPLAY_WINDOW,
        selectors: everything(),
    }
}

/// An SA for any packet that leaves, its keys made from its SPI.
pub(crate) fn outbound_spec(
    tunnel: TunnelId,
    spi: u32,
    transform: Transform,
    path: OuterPath,
) -> OutboundSpec {
    OutboundSpec {
        tunnel,
        spi,
        transform,
        keys: keys(transform, spi),
        esn: true,
        peer_window: PEER_WINDOW,
        lifetime: Lifetime::default(),
        selectors: everything(),
        path,
    }
}

impl From<Backend> for BackendChoice {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::IoUring => Self::IoUring,
            Backend::Syscalls => Self::Syscalls,
        }
    }
}

impl From<Suite> for Transform {
    fn from(suite: Suite) -> Self {
        match suite {
            Suite::Aes128Gcm16 => Self::Aes128Gcm16,
            Suite::Aes256Gcm16 => Self::Aes256Gcm16,
            Suite::ChaCha20Poly1305 => Self::ChaCha20Poly1305,
            Suite::Aes128Sha256 => Self::Aes128Cbc(Hmac::Sha256),
            Suite::Aes256Sha256 => Self::Aes256Cbc(Hmac::Sha256),
            Suite::Aes256Sha384 => Self::Aes256Cbc(Hmac::Sha384),
            Suite::Aes256Sha512 => Self::Aes256Cbc(Hmac::Sha512),
        }
    }
}

/// Keys of the right lengths, others for each SA.
fn keys(transform: Transform, spi: u32) -> Keys {
    let key = |len| spi.to_be_bytes().into_iter().cycle().take(len).collect();
    Keys {
        encryption: key(transform.key_len() + transform.salt_len()),
        integrity: key(transform.integrity_key_len()),
    }
}

fn everything() -> Selectors {
    let all = vec![
        AddressRange { start: Ipv4Addr::UNSPECIFIED.into(), end: Ipv4Addr::BROADCAST.into() },
        AddressRange { start: Ipv6Addr::UNSPECIFIED.into(), end: Ipv6Addr::from(u128::MAX).into() },
    ];
    Selectors { local: all.clone(), remote: all }
}

fn print_drops(handle: &Handle) {
    let print = |drops: &Drops| {
        for (reason, count) in drops.iter().filter(|(_, count)| *count > 0) {
            println!("drop {} {count}", reason.name());
        }
    };
    if let Reply::Stats(tunnels) = handle.call(Command::Stats) {
        for (_, stats) in &tunnels {
            print(&stats.drops);
        }
    }
    if let Reply::GatewayStats(stats) = handle.call(Command::GatewayStats) {
        print(&stats.drops);
    }
}

fn done(reply: Reply) -> Result<()> {
    match reply {
        Reply::Refused(why) => bail!(why),
        Reply::Done | Reply::Stats(_) | Reply::GatewayStats(_) => Ok(()),
    }
}

/// First SPIs of the two ends' inbound SAs: far enough apart for every tunnel's.
const LEFT: u32 = 0x6c65_6674;
const RIGHT: u32 = 0x7269_6768;
const PEER_WINDOW: u32 = 1024;
const REPLAY_WINDOW: u32 = 8192;
const MTU_CAP: u16 = 1446;
const OUTER_MTU: u16 = 1500;
