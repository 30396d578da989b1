//! The arrows of ARCHITECTURE.md, kept: who may name whom, read from the manifests and the sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::tree::{files, read, root};

/// Which of our crates a crate may depend on (development dependencies apart).
const CRATES: [(&str, &[&str]); 3] =
    [("ike", &[]), ("dataplane", &[]), ("control", &["gotthard-ike", "gotthard-dataplane"])];

/// `(crate, module, the modules of the same crate that it must not name)`.
const FORBIDDEN: &[(&str, &str, &[&str])] = &[
    ("ike", "codec", &["crypto", "sa", "exchange", "endpoint", "event", "config", "error", "suite", "timer"]),
    ("ike", "crypto", &["sa", "exchange", "endpoint", "event", "config", "error", "timer"]),
    ("ike", "sa", &["exchange", "endpoint"]),
    ("ike", "exchange", &["endpoint"]),
    ("dataplane", "packet", &["sa", "esp", "io", "sys", "worker", "handle"]),
    ("dataplane", "replay", &["sa", "esp", "io", "sys", "worker", "handle"]),
    ("dataplane", "sa", &["io", "sys", "worker", "handle"]),
    ("dataplane", "esp", &["io", "sys", "worker", "handle"]),
    ("dataplane", "offload", &["esp", "io", "sys", "worker", "handle"]),
    ("dataplane", "mtu", &["io", "sys", "worker", "handle"]),
    ("dataplane", "mss", &["io", "sys", "worker", "handle"]),
    ("dataplane", "demand", &["sa", "esp", "io", "sys", "worker", "handle"]),
    ("dataplane", "io", &["esp", "sa", "worker", "handle"]),
    ("dataplane", "sys", &["esp", "sa", "io", "worker", "handle"]),
    ("dataplane", "worker", &["handle"]),
    ("control", "cli", &["install", "ike_driver", "tunnels", "bgp", "probe", "routes", "failover"]),
    (
        "control",
        "api",
        &["cli", "install", "ike_driver", "tunnels", "bgp", "probe", "routes", "failover", "daemon"],
    ),
    ("control", "config", &["cli", "api", "install", "ike_driver", "tunnels", "probe", "routes", "daemon"]),
    (
        "control",
        "intake",
        &["cli", "api", "config", "install", "ike_driver", "tunnels", "routes", "failover", "daemon"],
    ),
    (
        "control",
        "export",
        &["cli", "api", "install", "ike_driver", "tunnels", "probe", "routes", "failover", "hooks", "daemon"],
    ),
    (
        "control",
        "doctor",
        &["cli", "install", "ike_driver", "tunnels", "routes", "failover", "hooks", "daemon"],
    ),
    (
        "control",
        "drill",
        &["cli", "api", "config", "install", "ike_driver", "tunnels", "bgp", "routes", "hooks", "daemon"],
    ),
    (
        "control",
        "failover",
        &["cli", "api", "config", "install", "ike_driver", "tunnels", "bgp", "routes", "daemon"],
    ),
    (
        "control",
        "probe",
        &["cli", "api", "config", "install", "ike_driver", "tunnels", "bgp", "routes", "daemon"],
    ),
    (
        "control",
        "bgp",
        &["cli", "api", "config", "install", "ike_driver", "tunnels", "probe", "routes", "daemon"],
    ),
];

/// The rooms of control that move tunnels, sessions and routes, and what starts them.
const MACHINERY: [&str; 10] =
    ["cli", "install", "ike_driver", "tunnels", "bgp", "probe", "routes", "failover", "hooks", "daemon"];

/// Rooms of control that name none of the machinery but themselves, and what else each must not name.
const APART: &[(&str, &[&str])] = &[
    ("import", &["api"]),
    ("capture", &["api", "config"]),
    ("metrics", &["config", "events"]),
    ("history", &["config", "events", "web"]),
    ("web", &["config"]),
    ("events", &["api", "config"]),
    ("hooks", &["api", "config"]),
    ("diagnose", &["api"]),
    ("cost", &["api", "events", "web"]),
];

/// Within `control::bgp`: what a module may name of its siblings.
const BGP: [(&str, &[&str]); 10] = [
    ("route", &[]),
    ("codec", &["route"]),
    ("failure", &["codec"]),
    ("fsm", &["codec", "failure"]),
    ("refusal", &[]),
    ("guard", &["refusal", "route"]),
    ("policy", &["guard", "refusal", "route"]),
    ("quota", &[]),
    ("best_path", &["route"]),
    ("rib", &["best_path", "codec", "route"]),
];

/// What is pure gets time as an argument and has no socket: none of these words is in it.
const IMPURE: [&str; 9] = [
    "tokio",
    "socket2",
    "rustix",
    "rtnetlink",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Instant",
    "SystemTime",
];

#[test]
fn crates_depend_only_downwards() {
    for (name, allowed) in CRATES {
        let manifest = read(&root().join(name).join("Cargo.toml"));
        let normal = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for line in normal.lines().filter(|line| line.starts_with("gotthard")) {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(allowed.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn modules_name_only_what_their_arrows_allow() {
    let mut broken = Vec::new();
    let rows = FORBIDDEN.iter().map(|(krate, module, forbidden)| (*krate, *module, forbidden.to_vec()));
    for (krate, module, forbidden) in rows.chain(apart()) {
        for file in module_files(&format!("{krate}/src"), module) {
            for named in crate_modules_named(&code(&file)) {
                if forbidden.contains(&named.as_str()) {
                    broken.push(format!("{}: crate::{named}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "forbidden arrows:\n{}", broken.join("\n"));
}

#[test]
fn modules_of_bgp_name_only_the_siblings_that_their_arrows_allow() {
    let folder = root().join("control/src/bgp");
    let mut broken = Vec::new();
    for (module, allowed) in BGP {
        for file in module_files("control/src/bgp", module) {
            let text = code(&file);
            // The file of a module is one level below `bgp`, a file in its folder two.
            let depth = file.strip_prefix(&folder).expect("a file of bgp").components().count();
            let up = if depth > 1 && !file.ends_with("mod.rs") { "super::super::" } else { "super::" };
            let siblings = named_behind(&text, "crate::bgp::").into_iter().chain(named_behind(&text, up));
            let foreign = siblings.filter(|named| named != module && !allowed.contains(&named.as_str()));
            broken.extend(foreign.map(|named| format!("{}: bgp::{named}", file.display())));
        }
    }
    assert!(broken.is_empty(), "forbidden arrows:\n{}", broken.join("\n"));
}

#[test]
fn bgp_has_no_socket_and_no_clock() {
    for file in rust_files(&root().join("control/src/bgp")) {
        let text = code(&file);
        let word = |word: &&str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == *word);
        let found: Vec<&str> = IMPURE.into_iter().filter(|impure| word(impure)).collect();
        assert!(found.is_empty(), "{} names {found:?}", file.display());
    }
}

#[test]
fn install_alone_names_both_ike_and_the_data_plane() {
    let control = root().join("control/src");
    for file in rust_files(&control).into_iter().filter(|file| *file != control.join("install.rs")) {
        let code = code(&file);
        let both = code.contains("gotthard_ike") && code.contains("gotthard_dataplane");
        assert!(!both, "{} names both gotthard_ike and gotthard_dataplane", file.display());
    }
}

#[test]
fn unsafe_lives_in_the_data_planes_sys_only() {
    let sys = root().join("dataplane/src/sys");
    let crates = ["ike", "dataplane", "control", "lab", "benches", "fuzz", "xtask"];
    for file in crates.iter().flat_map(|name| rust_files(&root().join(name))) {
        let word = |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe");
        let found = code(&file).lines().any(word);
        let here = file.ends_with("xtask/tests/repository/arrows.rs");
        assert!(!found || here || file.starts_with(&sys), "{} has unsafe code", file.display());
    }
}

/// The rooms apart, as rows of [`FORBIDDEN`].
fn apart() -> impl Iterator<Item = (&'static str, &'static str, Vec<&'static str>)> {
    APART.iter().map(|(room, extras)| {
        let machinery = MACHINERY.into_iter().filter(|other| other != room);
        ("control", *room, machinery.chain(extras.iter().copied()).collect())
    })
}

/// `MODULE.rs` and all below `MODULE/` in a folder of sources; fails if there is neither, so that a rename cannot switch a
/// rule off.
fn module_files(folder: &str, module: &str) -> Vec<PathBuf> {
    let src = root().join(folder);
    let file = src.join(module).with_extension("rs");
    let mut files = rust_files(&src.join(module));
    files.extend(file.exists().then_some(file));
    assert!(!files.is_empty(), "{folder} has no module {module}");
    files
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files(folder, &["rs"])
}

/// The file without its comments.
fn code(file: &Path) -> String {
    read(file)
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .fold(String::new(), |all, line| all + line + "\n")
}

/// The top modules in `crate::NAME` and in `crate::{NAME, …}`.
fn crate_modules_named(code: &str) -> BTreeSet<String> {
    named_behind(code, "crate::")
}

/// The names in `PATH NAME` and in `PATH {NAME, …}`.
fn named_behind(code: &str, path: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(path) {
        // The end of a longer path is another path.
        if code[..at].ends_with("::") {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(group_heads(group)),
            None => names.extend(head(rest)),
        }
    }
    names
}

/// The first name of each path in a group, up to its closing brace.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0_usize, 0_usize);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                heads.extend(head(group[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> Option<String> {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
    (end > 0).then(|| path[..end].to_owned())
}

#[test]
fn reads_single_and_grouped_use_lines() {
    let code = "use crate::Time;\nuse crate::{codec::iana::{A, B}, sa};\nlet x = crate::limits::MAX;\n";
    let names: Vec<String> = crate_modules_named(code).into_iter().collect();
    assert_eq!(names, ["Time", "codec", "limits", "sa"]);
    let nested = "use super::super::a::B;\nuse super::{self, c::D};\nuse super::e;\n";
    assert_eq!(named_behind(nested, "super::super::").into_iter().collect::<Vec<_>>(), ["a"]);
    assert_eq!(named_behind(nested, "super::").into_iter().collect::<Vec<_>>(), ["c", "e", "self", "super"]);
}
