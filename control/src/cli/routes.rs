//! `gotthard routes`: the prefixes behind the peers, the ways to each, and why one is used and another is not.

use core::fmt::Write;
use std::path::Path;

use super::args::{Output, RoutesArgs};
use super::exit::Exit;
use super::order;
use super::text;
use crate::api::routes::{
    NotTaken, OverlapStatus, PathStatus, PrefixState, PrefixStatus, RouteTable, Source,
};

/// Shows the table once.
pub(super) async fn routes(socket: &Path, wanted: RoutesArgs) -> Exit {
    let table = match order::routes(socket, wanted.connection).await {
        Ok(table) => table,
        Err(exit) => return exit,
    };
    match wanted.output {
        Output::Table => print!("{}", render(&table)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&table).unwrap_or_default()),
    }
    Exit::Ok
}

/// A block of lines for each prefix, used paths first.
fn render(table: &RouteTable) -> String {
    let mut out: String = table.routes.iter().map(render_prefix).collect();
    if table.routes.is_empty() {
        out.push_str("nothing is behind the peers\n");
    }
    out.extend(table.not_taken.iter().map(render_not_taken));
    out.extend(table.overlaps.iter().map(render_overlap));
    out
}

fn render_prefix(route: &PrefixStatus) -> String {
    let state = match route.state {
        PrefixState::Routed => "",
        PrefixState::Unreachable => "  unreachable: no tunnel carries it",
        PrefixState::Refused => "  not routed",
    };
    let mut out = format!("{}{state}\n", route.prefix);
    if let Some(refused) = &route.refused {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "    {}  {}", text::line(&refused.code), text::line(&refused.message));
    }
    let used = route.paths.iter().filter(|path| path.used);
    for path in used.chain(route.paths.iter().filter(|path| !path.used)) {
        out.push_str(&render_path(path));
    }
    out
}

fn render_not_taken(route: &NotTaken) -> String {
    let NotTaken { prefix, connection, tunnel, code, message, remedy } = route;
    let from = format!("{}/{}", text::line(connection), text::line(tunnel));
    format!(
        "not taken  {prefix} from {from}  {}  {}: {}\n",
        text::line(code),
        text::line(message),
        text::line(remedy)
    )
}

fn render_overlap(overlap: &OverlapStatus) -> String {
    let OverlapStatus { code, message, remedy } = overlap;
    format!("overlap  {}  {}: {}\n", text::line(code), text::line(message), text::line(remedy))
}

fn render_path(path: &PathStatus) -> String {
    let mark = if path.used { '●' } else { ' ' };
    let name = format!("{}/{}", text::line(&path.connection), text::line(&path.tunnel));
    let mut out = format!("  {mark} {name}  {}", text::line(&path.interface));
    match (&path.bgp, path.source) {
        (Some(bgp), _) => {
            let _ = write!(out, "  via {}  AS path {}", bgp.next_hop, text::line(&bgp.as_path));
            if let Some(med) = bgp.med {
                let _ = write!(out, "  MED {med}");
            }
            let _ = write!(out, "  local-pref {}", bgp.local_pref);
            if !bgp.communities.is_empty() {
                let _ = write!(out, "  {}", text::line(&bgp.communities.join(" ")));
            }
        }
        (None, Source::Static) => out.push_str("  static"),
        (None, Source::Bgp) => {}
    }
    if let Some(why) = &path.not_used {
        let _ = write!(out, "  not used: {}", text::line(why));
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes::{BgpPath, RefusedStatus};

    #[test]
    fn each_prefix_has_its_paths_below_it_those_in_use_first() {
        let path = |tunnel: &str, bgp: Option<BgpPath>, not_used: Option<&str>| PathStatus {
            connection: "aws".into(),
            tunnel: tunnel.into(),
            interface: format!("gth{tunnel}"),
            source: if bgp.is_some() { Source::Bgp } else { Source::Static },
            used: not_used.is_none(),
            not_used: not_used.map(str::to_owned),
            bgp,
        };
        let bgp = |med| BgpPath {
            next_hop: [169, 254, 10, 1].into(),
            as_path: "64512".into(),
            med: Some(med),
            local_pref: 100,
            communities: vec!["12076:51004".into()],
        };
        let prefix = |prefix: &str, state, paths| PrefixStatus {
            prefix: prefix.parse().expect("a prefix"),
            state,
            refused: None,
            paths,
        };
        let occupied =
            RefusedStatus { code: "GTH-RTE-01".into(), message: "it is \x1brouted already".into() };
        let routes = vec![
            prefix(
                "10.200.0.0/16",
                PrefixState::Routed,
                vec![path("1", Some(bgp(200)), Some("a lower MED")), path("2", Some(bgp(100)), None)],
            ),
            prefix(
                "10.201.0.0/16",
                PrefixState::Unreachable,
                vec![path("1", None, Some("the tunnel is down"))],
            ),
            PrefixStatus { refused: Some(occupied), ..prefix("10.202.0.0/16", PrefixState::Refused, vec![]) },
        ];
        let not_taken = NotTaken {
            prefix: "10.10.3.0/24".parse().expect("a prefix"),
            connection: "aws".into(),
            tunnel: "1".into(),
            code: "GTH-RTE-08".into(),
            message: "it lies in our own network 10.10.0.0/16".into(),
            remedy: "renumber one side".into(),
        };
        let overlap = OverlapStatus {
            code: "GTH-RTE-15".into(),
            message: "10.200.0.0/16 is both of aws and of azure".into(),
            remedy: "renumber one".into(),
        };
        let table = RouteTable::new(routes, vec![not_taken], vec![overlap]);
        assert_eq!(
            render(&table),
            "10.200.0.0/16\n\
             \u{20} ● aws/2  gth2  via 169.254.10.1  AS path 64512  MED 100  local-pref 100  12076:51004\n\
             \u{20}   aws/1  gth1  via 169.254.10.1  AS path 64512  MED 200  local-pref 100  12076:51004  \
             not used: a lower MED\n\
             10.201.0.0/16  unreachable: no tunnel carries it\n\
             \u{20}   aws/1  gth1  static  not used: the tunnel is down\n\
             10.202.0.0/16  not routed\n\
             \u{20}   GTH-RTE-01  it is \\u{1b}routed already\n\
             not taken  10.10.3.0/24 from aws/1  GTH-RTE-08  it lies in our own network 10.10.0.0/16: \
             renumber one side\n\
             overlap  GTH-RTE-15  10.200.0.0/16 is both of aws and of azure: renumber one\n"
        );
    }
}
