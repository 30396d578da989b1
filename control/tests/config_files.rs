//! Files: the presets' defaults, `conf.d`, secret files and who may read them.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gotthard::config::lifetimes::Lifetimes;
use gotthard::config::model::{Backend, Config, Local, PacketPath, Psk, RoutePlace, TunnelAuth, Workers};
use gotthard::config::presets::Cloud;
use gotthard::config::{ConfigError, ConfigErrors, Loaded, lint, load};
use gotthard_ike::config::{Encapsulation, Mode};
use tempfile::TempDir;

const TWO_TUNNELS: &str = r#"[connection.aws-prod]
cloud = "aws"
routing = "static"
remote = ["10.200.0.0/16"]
[[connection.aws-prod.tunnel]]
name = "1"
peer = "198.51.100.11"
inside = "169.254.10.2/30"
psk_file = "1.psk"
[[connection.aws-prod.tunnel]]
name = "2"
peer = "198.51.100.12"
inside = "169.254.11.2/31"
psk = "abcdefgh"
"#;

#[test]
fn a_short_file_has_every_default_filled_in() {
    let folder = folder(&[("gotthard.toml", TWO_TUNNELS), ("1.psk", "a.good_key\n")]);
    let config = loaded(&folder).config;
    assert_eq!(config.gateway.local, Local::Auto);
    let packet_path = PacketPath { backend: Backend::Auto, workers: Workers::Auto, offloads: true };
    assert_eq!(config.gateway.packet_path, packet_path);
    let connection = &config.connections[0];
    assert_eq!(
        (connection.cloud, connection.mode, connection.encapsulation),
        (Cloud::Aws, Mode::Initiator, Encapsulation::Udp)
    );
    assert_eq!((connection.mtu, connection.replay_window, connection.peer_replay_window), (1446, 8192, 1024));
    assert_eq!(
        connection.lifetimes,
        Lifetimes {
            ike: Duration::from_hours(8),
            child: Duration::from_hours(1),
            margin: Duration::from_secs(270),
            fuzz: 100,
            bytes: None,
            packets: None,
        }
    );
    assert_eq!(
        (connection.dpd_interval, connection.probe_interval),
        (Duration::from_secs(10), Duration::from_millis(300))
    );
    assert!(!connection.suites.is_empty() && !connection.esp.is_empty());
    let [one, two] = connection.tunnels.as_slice() else { panic!("two tunnels") };
    assert_eq!((one.interface.as_str(), two.interface.as_str()), ("gth0", "gth1"));
    assert_eq!(one.peer_inside, Some("169.254.10.1".parse().unwrap()));
    assert_eq!(two.peer_inside, Some("169.254.11.3".parse().unwrap()));
    assert_eq!((one.peer_id.to_string().as_str(), one.local_id.as_ref()), ("198.51.100.11", None));
}

/// Azure's local network gateway has one BGP address, and each of the two instances a session with it.
#[test]
fn tunnels_of_one_connection_may_share_a_host_address_and_those_of_two_may_not() {
    let shared = TWO_TUNNELS
        .replace(
            "inside = \"169.254.10.2/30\"\n",
            "inside = \"10.10.255.1/32\"\npeer_inside = \"10.30.0.4\"\n",
        )
        .replace(
            "inside = \"169.254.11.2/31\"\n",
            "inside = \"10.10.255.1/32\"\npeer_inside = \"10.30.0.5\"\n",
        )
        .replace("\"aws\"", "\"azure\"");
    let folder = folder(&[("gotthard.toml", &shared), ("1.psk", "a.good_key\n")]);
    let tunnels = loaded(&folder).config.connections[0].tunnels.clone();
    assert_eq!(tunnels[0].inside, tunnels[1].inside);
    let apart = shared.replacen("[[connection.aws-prod.tunnel]]\nname = \"2\"", OTHER_CONNECTION, 1);
    fs::write(folder.path().join("gotthard.toml"), apart).unwrap();
    let errors = load(&folder.path().join("gotthard.toml")).unwrap_err().0;
    assert!(errors.len() == 1 && errors[0].problem.contains("overlaps"), "{errors:?}");
}

const OTHER_CONNECTION: &str = r#"[connection.other]
cloud = "azure"
routing = "static"
remote = ["10.201.0.0/16"]
[[connection.other.tunnel]]
name = "2""#;

#[test]
fn the_packet_path_is_as_it_is_written() {
    for (text, expected) in [
        (
            "backend = \"io_uring\"\nworkers = 3",
            PacketPath { backend: Backend::IoUring, workers: Workers::Count(3), offloads: true },
        ),
        (
            "backend = \"syscalls\"\nworkers = \"auto\"\noffloads = false",
            PacketPath { backend: Backend::Syscalls, workers: Workers::Auto, offloads: false },
        ),
    ] {
        let text = format!("[gateway]\n{text}\n{TWO_TUNNELS}");
        let folder = folder(&[("gotthard.toml", &text), ("1.psk", "a.good_key\n")]);
        assert_eq!(loaded(&folder).config.gateway.packet_path, expected, "{text}");
    }
}

#[test]
fn routes_are_in_the_main_table_or_in_one_of_their_own() {
    for (text, expected) in [
        ("", RoutePlace { table: 254, rule_priority: None, hash_by_flow: true }),
        ("table = 71", RoutePlace { table: 71, rule_priority: None, hash_by_flow: true }),
        (
            "table = 7100\nrule_priority = 900\nmultipath_hash = \"keep\"",
            RoutePlace { table: 7100, rule_priority: Some(900), hash_by_flow: false },
        ),
    ] {
        let text = format!("[gateway]\n{text}\n{TWO_TUNNELS}");
        let folder = folder(&[("gotthard.toml", &text), ("1.psk", "a.good_key\n")]);
        assert_eq!(loaded(&folder).config.gateway.routes, expected, "{text}");
    }
}

#[test]
fn the_line_break_at_the_end_of_a_secret_file_is_no_part_of_the_key() {
    for (text, key) in
        [("key.one", "key.one"), ("key.one\n", "key.one"), ("key.one\r\n\n", "key.one"), (" k \n", " k ")]
    {
        let folder = folder(&[("gotthard.toml", TWO_TUNNELS), ("1.psk", text)]);
        let auth = &loaded(&folder).config.connections[0].tunnels[0].auth;
        assert_eq!(*auth, TunnelAuth::Psk(Psk(key.as_bytes().to_vec().into())), "{text:?}");
        assert_eq!(format!("{auth:?}"), "Psk(Psk(..))");
    }
}

#[test]
fn a_secret_file_that_others_can_touch_is_refused() {
    let folder = folder(&[("gotthard.toml", TWO_TUNNELS), ("1.psk", "a.good_key\n")]);
    let secret = folder.path().join("1.psk");
    for (mode, allowed) in
        [(0o400, true), (0o600, true), (0o640, true), (0o644, false), (0o660, false), (0o700, false)]
    {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        match load(&folder.path().join("gotthard.toml")) {
            Ok(_) => assert!(allowed, "{mode:o}"),
            Err(errors) => {
                assert!(!allowed, "{mode:o}: {errors}");
                assert_eq!(
                    (errors.0[0].line, errors.0[0].key.as_str()),
                    (9, "connection.aws-prod.tunnel[1].psk_file")
                );
                assert!(errors.0[0].remedy.contains("chmod 0640"), "{errors}");
            }
        }
    }
}

#[test]
fn a_secret_file_of_another_user_is_refused() {
    let folder = folder(&[("gotthard.toml", TWO_TUNNELS), ("1.psk", "a.good_key\n")]);
    if std::os::unix::fs::chown(folder.path().join("1.psk"), Some(12_345), None).is_err() {
        eprintln!("not tested: giving a file away needs root");
        return;
    }
    let errors = refused(&folder);
    assert!(errors.0[0].problem.contains("belongs to user 12345"), "{errors}");
    assert!(errors.0[0].remedy.contains("chown root"), "{errors}");
}

#[test]
fn a_secret_file_that_is_missing_empty_too_long_a_folder_or_a_pipe_is_refused() {
    let folder = folder(&[("gotthard.toml", TWO_TUNNELS), ("1.psk", "\n")]);
    assert!(refused(&folder).to_string().contains("the pre-shared key is empty"));
    fs::write(folder.path().join("1.psk"), "x".repeat(5000)).unwrap();
    assert!(refused(&folder).to_string().contains("longer than"));
    fs::remove_file(folder.path().join("1.psk")).unwrap();
    assert!(refused(&folder).to_string().contains("No such file"));
    fs::create_dir(folder.path().join("1.psk")).unwrap();
    assert!(refused(&folder).to_string().contains("no regular file"));
    fs::remove_dir(folder.path().join("1.psk")).unwrap();
    let pipe = Command::new("mkfifo").arg(folder.path().join("1.psk")).status();
    assert!(pipe.is_ok_and(|status| status.success()));
    assert!(refused(&folder).to_string().contains("no regular file"), "a pipe is not waited for");
}

#[test]
fn conf_d_is_read_in_the_order_of_its_names_and_counts_on() {
    let lab = |name: &str, host: u8| {
        format!(
            "[connection.{name}]\nrouting = \"static\"\nremote = [\"10.{host}.0.0/16\"]\n[[connection.{name}.tunnel]]\n\
             name = \"1\"\npeer = \"192.0.2.{host}\"\npsk_file = \"k\"\n"
        )
    };
    let main = "[gateway]\nlocal = \"203.0.113.10\"\n".to_owned() + TWO_TUNNELS;
    let folder = folder(&[
        ("gotthard.toml", &main),
        ("1.psk", "a.good_key"),
        ("conf.d/20-b.toml", &lab("b", 2)),
        ("conf.d/10-a.toml", &lab("a", 1)),
        ("conf.d/.hidden.toml", "nonsense"),
        ("conf.d/readme.txt", "nonsense"),
        ("conf.d/k", "beside.its.own.file"),
    ]);
    let config = loaded(&folder).config;
    let names: Vec<String> = config.tunnels().map(|(c, t)| format!("{} {}", c.name, t.interface)).collect();
    assert_eq!(names, ["aws-prod gth0", "aws-prod gth1", "a gth2", "b gth3"]);
}

#[test]
fn a_connection_or_gateway_in_two_files_is_refused_with_both_places() {
    let folder = folder(&[
        ("gotthard.toml", &("[gateway]\nlocal = \"auto\"\n".to_owned() + TWO_TUNNELS)),
        ("1.psk", "a.good_key"),
        ("conf.d/x.toml", "[gateway]\nasn = 65010\n[connection.aws-prod]\nrouting = \"external\"\n"),
    ]);
    let shown = refused(&folder).to_string();
    assert!(shown.contains("conf.d/x.toml:1:2: gateway: is there already"), "{shown}");
    assert!(shown.contains("conf.d/x.toml:3:13: connection.aws-prod: is there already"), "{shown}");
    assert!(shown.contains("gotthard.toml:3)"), "{shown}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = folder(&[]);
    let errors = refused(&folder);
    assert!(errors.to_string().contains("gotthard.toml: (file): cannot be read: No such file"), "{errors}");
    fs::write(folder.path().join("gotthard.toml"), b"[gateway]\nlocal = \"\xff\"\n").unwrap();
    let errors = refused(&folder);
    assert_eq!((errors.0[0].line, errors.0[0].column, errors.0[0].key.as_str()), (2, 10, "gateway.local"));
    fs::write(folder.path().join("gotthard.toml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(refused(&folder).to_string().contains("larger than 1024 KiB"));
    assert!(load(Path::new("/dev/zero")).unwrap_err().to_string().contains("larger than"));
}

#[test]
fn the_margin_of_a_rekey_shrinks_with_a_short_lifetime_and_azure_counts_octets() {
    let read = |keys: &str| {
        let text = TWO_TUNNELS.replacen("[[", &format!("{keys}\n[["), 1);
        let folder = folder(&[("gotthard.toml", &text), ("1.psk", "a.good_key\n")]);
        loaded(&folder).config.connections[0].lifetimes
    };
    assert_eq!(read("child_lifetime = \"10s\"").margin, Duration::from_millis(2500));
    assert_eq!(read("child_lifetime = \"10s\"\nrekey_margin = \"5s\"").margin, Duration::from_secs(5));
    let set = read("rekey_fuzz = 0\nchild_bytes = 1_000_000\nchild_packets = 4294967296");
    assert_eq!((set.fuzz, set.bytes, set.packets), (0, Some(1_000_000), Some(1 << 32)));
    assert_eq!(Cloud::Azure.preset().lifetimes.bytes, Some(104_857_600_000));
}

#[test]
fn unwise_configurations_are_warned_of() {
    let text = r#"[gateway]
asn = 64512
advertise = ["10.10.0.0/16"]
workers = 32
offloads = false
debug_keys = "keys"
web = "0.0.0.0:8477"
[connection.a]
cloud = "aws"
routing = "static"
remote = ["10.0.0.0/8"]
suites = ["aes256-sha256-modp2048", "aes256gcm16-sha256-ecp256"]
esp = ["aes256gcm16"]
mtu = 1200
peer_replay_window = 4096
[[connection.a.tunnel]]
name = "1"
peer = "10.1.2.3"
inside = "169.254.0.2/30"
peer_asn = 64512
psk = "0 starts with zero"
[connection.b]
routing = "static"
remote = ["10.200.0.0/16"]
peer_replay_window = 64
child_lifetime = "10s"
child_bytes = 3_000_000_000
child_packets = 2000000
[[connection.b.tunnel]]
name = "1"
peer = "192.0.2.1"
psk = "whatever you like"
[[connection.b.tunnel]]
name = "2"
peer = "192.0.2.2"
psk = "whatever you like"
"#;
    let folder = folder(&[("gotthard.toml", text)]);
    let warnings = lint::lint(&loaded(&folder));
    let has = |line, key: &str, part: &str| expect_warning(&warnings, line, key, part);
    has(16, "connection.a.tunnel", "there is one tunnel");
    has(12, "connection.a.suites", "takes the lowest");
    has(13, "connection.a.esp", "no PFS");
    has(14, "connection.a.mtu", "IPv6");
    has(19, "connection.a.tunnel[1].inside", "reserves");
    has(20, "connection.a.tunnel[1].peer_asn", "our own");
    has(21, "connection.a.tunnel[1].psk", "AWS cannot have");
    has(11, "connection.a.remote", "GTH-RTE-16: 10.10.0.0/16 (ours) lies in 10.0.0.0/8 (of a)");
    has(11, "connection.a.remote", "10.1.2.3, the outer address");
    has(24, "connection.b.remote", "GTH-RTE-15: 10.200.0.0/16 (of b) lies in 10.0.0.0/8 (of a)");
    has(25, "connection.b.peer_replay_window", "64 packets");
    has(26, "connection.b.child_lifetime", "for tests");
    has(27, "connection.b.child_bytes", "within seconds");
    has(28, "connection.b.child_packets", "within seconds");
    has(15, "connection.a.peer_replay_window", "64 to 2048");
    has(5, "gateway.offloads", "on its own");
    has(6, "gateway.debug_keys", &folder.path().join("keys").display().to_string());
    has(7, "gateway.web", "whoever reaches 0.0.0.0:8477");
    // A host of 32 cores is fine with 32 workers.
    let cores = std::thread::available_parallelism().map_or(32, usize::from);
    if cores < 32 {
        has(4, "gateway.workers", "32 threads");
    }
    assert_eq!(warnings.len(), 18 + usize::from(cores < 32), "{warnings:#?}");
    assert!(warnings.iter().all(|warning| !warning.to_string().contains("starts with zero")));
}

#[test]
fn bgp_that_a_cloud_would_refuse_or_that_stays_where_aws_wants_it_to_move_is_warned_of() {
    let text = r#"[gateway]
asn = 65515
advertise = ["10.10.0.0/16", "10.11.0.0/16"]
[connection.a]
cloud = "aws"
routing = "bgp"
communities = [{ match = "64512:1", local_pref = 200 }]
[[connection.a.tunnel]]
name = "1"
peer = "192.0.2.1"
inside = "169.254.10.2/30"
psk = "whatever.you.like"
[connection.b]
cloud = "aws"
routing = "bgp"
local_pref = 90
[[connection.b.tunnel]]
name = "2"
peer = "192.0.2.2"
inside = "169.254.11.2/30"
psk = "whatever.you.like"
[connection.c]
cloud = "azure"
routing = "bgp"
passive = true
max_advertised = 1
[[connection.c.tunnel]]
name = "1"
peer = "192.0.2.3"
inside = "169.254.21.2/30"
psk = "whatever you like"
"#;
    let folder = folder(&[("gotthard.toml", text)]);
    let warnings = lint::lint(&loaded(&folder));
    let has = |line, key: &str, part: &str| expect_warning(&warnings, line, key, part);
    has(2, "gateway.asn", "reserved by Azure");
    has(3, "gateway.advertise", "takes 1 of these 2");
    has(7, "connection.a.communities", "maintenance");
    has(16, "connection.b.local_pref", "differs from that of connection a");
    has(25, "connection.c.passive", "never opens");
}

#[test]
fn a_prefix_that_a_tunnel_has_no_next_hop_for_is_told() {
    let text = r#"[gateway]
local = "203.0.113.10"
asn = 65010
advertise = ["10.10.0.0/16", "2001:db8:10::/48"]
[connection.a]
cloud = "gcp"
routing = "bgp"
[[connection.a.tunnel]]
name = "1"
peer = "192.0.2.1"
inside = "169.254.10.2/30"
peer_asn = 64512
psk = "whatever.you.like"
[[connection.a.tunnel]]
name = "2"
peer = "192.0.2.2"
inside = "fd00:11::2/126"
peer_asn = 64512
psk = "whatever.you.like"
[[connection.a.tunnel]]
name = "3"
peer = "192.0.2.3"
inside = "169.254.12.2/30"
inside6 = "fd00:12::2/126"
peer_asn = 64512
psk = "whatever.you.like"
"#;
    let folder = folder(&[("gotthard.toml", text)]);
    let warnings = lint::lint(&loaded(&folder));
    expect_warning(&warnings, 11, "connection.a.tunnel[1].inside", "2001:db8:10::/48");
    expect_warning(&warnings, 17, "connection.a.tunnel[2].inside", "10.10.0.0/16");
    assert!(!warnings.iter().any(|warning| warning.key.contains("tunnel[3]")), "{warnings:#?}");
}

fn expect_warning(warnings: &[ConfigError], line: usize, key: &str, part: &str) {
    let found = warnings.iter().any(|w| w.line == line && w.key == key && w.problem.contains(part));
    assert!(found, "{line} {key} {part}: {warnings:#?}");
}

/// A folder with these files, readable by us alone.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

fn loaded(folder: &TempDir) -> Loaded {
    load(&folder.path().join("gotthard.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refused(folder: &TempDir) -> ConfigErrors {
    let result = load(&folder.path().join("gotthard.toml")).map(|loaded: Loaded| -> Config { loaded.config });
    result.expect_err("a refusal")
}
