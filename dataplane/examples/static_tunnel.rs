//! One tunnel with fixed keys, and no IKE: for benchmarks of the packet path and its tests. Not for traffic that matters:
//! everybody who knows the two names knows the keys.
//!
//! ```text
//! static_tunnel INTERFACE LOCAL REMOTE {left|right} [udp|esp] [TRANSFORM] [WORKERS] [BACKEND]
//! ```
//!
//! LOCAL and REMOTE are outer addresses; one end says `left`, the other `right`. TRANSFORM is aes256gcm16 (the default),
//! aes128gcm16, chacha20poly1305, aes256-sha256, aes128-sha256, aes256-sha384 or aes256-sha512. BACKEND is auto (the default),
//! io_uring or syscalls. When the line `ready` is printed, the device exists; address it and set it up with ip(8). The program
//! ends at the end of its standard input, and prints its counters.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its standard streams"
)]

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use gotthard_dataplane::esp::transform::{Hmac, Transform};
use gotthard_dataplane::handle::{BackendChoice, Command, Handle, Options, Reply};
use gotthard_dataplane::sa::spec::{
    AddressRange, Encapsulation, InboundSpec, Keys, OutboundSpec, OuterPath, Selectors, TunnelId, TunnelSpec,
};

const TUNNEL: TunnelId = TunnelId(1);
const USAGE: &str =
    "usage: static_tunnel INTERFACE LOCAL REMOTE {left|right} [udp|esp] [TRANSFORM] [WORKERS] [BACKEND]";

struct Arguments {
    interface: String,
    local: IpAddr,
    remote: IpAddr,
    left: bool,
    encapsulation: Encapsulation,
    transform: Transform,
    workers: usize,
    backend: BackendChoice,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(arguments) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("static_tunnel: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let options = Options { workers: arguments.workers, backend: arguments.backend, ..Options::default() };
    let handle = Handle::start(&options, |notice| eprintln!("{notice:?}")).map_err(|e| e.to_string())?;
    let interface = arguments.interface.clone();
    let tunnel = TunnelSpec { id: TUNNEL, interface, mtu_cap: 1446, outer_mtu: 1500 };
    done(handle.call(Command::AddTunnel(tunnel)))?;
    let (ours, theirs) = if arguments.left { (LEFT, RIGHT) } else { (RIGHT, LEFT) };
    done(handle.call(Command::InstallInbound(inbound(arguments, ours))))?;
    done(handle.call(Command::InstallOutbound(outbound(arguments, theirs))))?;
    println!("ready");
    // What arrives means nothing; the end of it does.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    println!("{:?}", handle.call(Command::Stats));
    println!("{:?}", handle.call(Command::GatewayStats));
    Ok(())
}

fn inbound(arguments: &Arguments, spi: u32) -> InboundSpec {
    InboundSpec {
        tunnel: TUNNEL,
        spi,
        transform: arguments.transform,
        keys: keys(arguments.transform, spi),
        esn: true,
        replay_window: 8192,
        selectors: everything(),
    }
}

fn outbound(arguments: &Arguments, spi: u32) -> OutboundSpec {
    let address = |ip| SocketAddr::new(ip, 4500);
    OutboundSpec {
        tunnel: TUNNEL,
        spi,
        transform: arguments.transform,
        keys: keys(arguments.transform, spi),
        esn: true,
        peer_window: 1024,
        selectors: everything(),
        path: OuterPath {
            local: address(arguments.local),
            remote: address(arguments.remote),
            encapsulation: arguments.encapsulation,
        },
    }
}

/// Keys of the right lengths, another for each direction.
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

fn done(reply: Reply) -> Result<(), String> {
    match reply {
        Reply::Refused(why) => Err(why),
        Reply::Done | Reply::Stats(_) | Reply::GatewayStats(_) => Ok(()),
    }
}

fn parse(arguments: &[String]) -> Option<Arguments> {
    let [interface, local, remote, end, rest @ ..] = arguments else { return None };
    Some(Arguments {
        interface: interface.clone(),
        local: local.parse().ok()?,
        remote: remote.parse().ok()?,
        left: match end.as_str() {
            "left" => true,
            "right" => false,
            _ => return None,
        },
        encapsulation: match rest.first().map_or("udp", String::as_str) {
            "udp" => Encapsulation::Udp,
            "esp" => Encapsulation::Esp,
            _ => return None,
        },
        transform: transform(rest.get(1).map_or("aes256gcm16", String::as_str))?,
        workers: rest.get(2).map_or(Some(1), |n| n.parse().ok())?,
        backend: match rest.get(3).map_or("auto", String::as_str) {
            "auto" => BackendChoice::Auto,
            "io_uring" => BackendChoice::IoUring,
            "syscalls" => BackendChoice::Syscalls,
            _ => return None,
        },
    })
}

fn transform(name: &str) -> Option<Transform> {
    Some(match name {
        "aes128gcm16" => Transform::Aes128Gcm16,
        "aes256gcm16" => Transform::Aes256Gcm16,
        "chacha20poly1305" => Transform::ChaCha20Poly1305,
        "aes128-sha256" => Transform::Aes128Cbc(Hmac::Sha256),
        "aes256-sha256" => Transform::Aes256Cbc(Hmac::Sha256),
        "aes256-sha384" => Transform::Aes256Cbc(Hmac::Sha384),
        "aes256-sha512" => Transform::Aes256Cbc(Hmac::Sha512),
        _ => return None,
    })
}

const LEFT: u32 = 0x6c65_6674;
const RIGHT: u32 = 0x7269_6768;
