//! A connection in swanctl's words.

use std::fmt::Write as _;

use anyhow::Result;

/// A connection of one child, ESP in UDP.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name; the child's is the same with `-c`.
    pub name: String,
    /// Our outer address and identity.
    pub local: String,
    /// The peer's outer address and identity.
    pub remote: String,
    /// Pre-shared key.
    pub psk: String,
    /// IKE proposals.
    pub ike: String,
    /// ESP proposals.
    pub esp: String,
    /// Inner addresses on our side.
    pub local_ts: String,
    /// Inner addresses on the peer's side.
    pub remote_ts: String,
    /// Further keys of the connection, as `key = value`.
    pub options: Vec<String>,
    /// Further keys of its child.
    pub child_options: Vec<String>,
}

impl Connection {
    /// The swanctl.conf of these connections.
    pub fn render(connections: &[Self]) -> Result<String> {
        let mut text = String::from("connections {\n");
        for Self { name, local, remote, ike, esp, local_ts, remote_ts, options, child_options, .. } in
            connections
        {
            let (options, child_options) = (options.join("\n    "), child_options.join("\n        "));
            write!(
                text,
                "  {name} {{\n    version = 2\n    local_addrs = {local}\n    remote_addrs = {remote}\n    mobike = no\n    \
                 encap = yes\n    unique = replace\n    dpd_delay = 10s\n    proposals = {ike}\n    {options}\n    \
                 local {{\n      auth = psk\n      id = {local}\n    }}\n    remote {{\n      auth = psk\n      id = {remote}\n    }}\n    \
                 children {{\n      {name}-c {{\n        local_ts = {local_ts}\n        remote_ts = {remote_ts}\n        \
                 esp_proposals = {esp}\n        dpd_action = clear\n        replay_window = 1024\n        {child_options}\n      }}\n    }}\n  }}\n"
            )?;
        }
        text.push_str("}\nsecrets {\n");
        for Self { name, local, remote, psk, .. } in connections {
            writeln!(
                text,
                "  ike-{name} {{\n    id-a = {local}\n    id-b = {remote}\n    secret = \"{psk}\"\n  }}"
            )?;
        }
        text.push_str("}\n");
        Ok(text)
    }
}
