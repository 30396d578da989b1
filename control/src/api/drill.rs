//! A drill on the control socket: started by one request, watched by others. One that nobody asks after ends by itself.
//!
//! The report is a contract as the status is: keys are never renamed, and added freely.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillOrder {
    /// Name of the connection.
    pub connection: String,
    /// A host behind the cloud that answers echoes; `None`: the peer's inside address in the tunnel that carries.
    pub target: Option<IpAddr>,
    /// Our address towards the target; `None`: the kernel's choice.
    pub source: Option<IpAddr>,
    /// Echoes a second.
    pub rate: u32,
}

/// How far a drill is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillState {
    /// In a few words.
    pub stage: String,
    /// Echoes sent so far.
    pub sent: u64,
    /// Echoes answered so far.
    pub answered: u64,
    /// Once it is over.
    pub report: Option<DrillReport>,
}

/// What a drill showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillReport {
    /// Name of the connection.
    pub connection: String,
    /// Whether the traffic moved away and back and no echo was lost on the way.
    pub passed: bool,
    /// Why it did not pass.
    pub reason: Option<String>,
    /// Who answered; `None`: the peers' inside addresses.
    pub target: Option<IpAddr>,
    /// Echoes a second.
    pub rate: u32,
    /// Echoes sent in all.
    pub sent: u64,
    /// Of these, not answered.
    pub lost: u64,
    /// The moves that came to pass: away, and back.
    pub moves: Vec<DrillMove>,
}

/// One move of the traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillMove {
    /// Names of the tunnels that carried.
    pub from: Vec<String>,
    /// Names of the tunnels that carry.
    pub to: Vec<String>,
    /// From the order until the kernel's routes had followed.
    pub took_ms: f64,
    /// The longest time without an answered echo, from the order until a second after the move.
    pub gap_ms: f64,
    /// Echoes sent in that time.
    pub sent: u64,
    /// Of these, not answered.
    pub lost: u64,
}
