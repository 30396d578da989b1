//! Test hosts in network namespaces, real peers in them, and what scenarios need to drive and watch them.
//!
//! Everything here is real: the built `gotthard` binary, strongSwan, iperf3, the kernel's NAT, packets on veth pairs.
//! A scenario is a function of a [`Run`], run once for each [`Suite`] by [`scenarios!`]. It needs root and the
//! packages of `packages.txt`; where they are missing it says so (`lab: skipped: …`) and passes.
//!
//! Scenarios measure time and throughput, so they take turns: a lock file keeps them apart, across processes too.

#![forbid(unsafe_code)]

pub mod authority;
pub mod bird;
pub mod browser;
pub mod capture;
pub mod cloud;
pub mod customer;
pub mod dissection;
pub mod documents;
pub mod exabgp;
pub mod exposition;
pub mod failover;
pub mod fleet;
pub mod flow;
pub mod frr;
pub mod gobgp;
pub mod gotthard;
pub mod hostile;
pub mod machine;
pub mod nat;
pub mod netns;
pub mod outage;
pub mod pair;
pub mod path;
pub mod payload;
pub mod pcap;
pub mod process;
pub mod relay;
pub mod run;
pub mod secrecy;
pub mod site;
pub mod status;
pub mod strongswan;
pub mod suite;
pub mod terminal;
pub mod traffic;
pub mod uml;
pub mod wait;

pub use bird::Bird;
pub use exabgp::Exabgp;
pub use frr::Frr;
pub use gobgp::Gobgp;
pub use gotthard::Gotthard;
pub use machine::Machine;
pub use netns::Netns;
pub use path::Path;
pub use process::Process;
pub use run::Run;
pub use suite::Suite;

/// Declares the tests of scenarios: `name::aes_256_gcm` and `name::aes_256_cbc_hmac_sha2_256` for each function
/// `fn name(run: &Run) -> anyhow::Result<()>`. Behind `gcm:` the first alone, for what has nothing to do with the suite.
#[macro_export]
macro_rules! scenarios {
    (gcm: $($name:ident),+ $(,)?) => {
        $(
            mod $name {
                #[test]
                fn aes_256_gcm() -> $crate::run::Outcome {
                    $crate::run::scenario(stringify!($name), $crate::Suite::Gcm, super::$name)
                }
            }
        )+
    };
    ($($name:ident),+ $(,)?) => {
        $(
            mod $name {
                #[test]
                fn aes_256_gcm() -> $crate::run::Outcome {
                    $crate::run::scenario(stringify!($name), $crate::Suite::Gcm, super::$name)
                }
                #[test]
                fn aes_256_cbc_hmac_sha2_256() -> $crate::run::Outcome {
                    $crate::run::scenario(stringify!($name), $crate::Suite::Cbc, super::$name)
                }
            }
        )+
    };
}
