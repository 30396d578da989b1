//! What `--apply` writes: files of the right modes that the daemon takes, or none.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gotthard::config::model::Local;
use gotthard::config::{self, FileSecrets};
use gotthard::import::apply::{ApplyError, plan};
use gotthard::import::{Answers, Found, Origin, read};

fn found() -> Found {
    let xml = include_str!("files/aws.xml").replace("vpn-0a1b2c3d4e5f60718", "vpn-1");
    read(Origin::Aws, &[&xml]).unwrap().answered(&Answers::default()).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn keys_and_configuration_are_written_with_their_modes_and_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gotthard.toml");
    std::fs::write(&file, "# the operator's own\n").unwrap();
    let planned = plan(&file, &found()).unwrap();
    let shown = planned.difference();
    assert!(shown.contains("+[connection.vpn-1]") && shown.contains("vpn-1-1.psk: a new key"), "{shown}");
    assert!(!shown.contains("exampleTunnel"), "{shown}");
    assert!(!folder.path().join("conf.d").exists(), "nothing is written by looking");
    planned.write().unwrap();
    let conf = folder.path().join("conf.d");
    assert_eq!((mode(&conf.join("vpn-1.toml")), mode(&conf.join("vpn-1-1.psk"))), (0o640, 0o600));
    let loaded = config::load(&file).unwrap();
    assert_eq!(loaded.config.connections[0].tunnels.len(), 2);
    assert_eq!(loaded.config.gateway.asn, Some(65010));
    let again = plan(&file, &found()).unwrap();
    assert_eq!(again.difference(), "", "what runs is what would be written");
    let names: Vec<_> = std::fs::read_dir(&conf).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn where_there_is_no_configuration_yet_one_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("etc/gotthard.toml");
    let written = plan(&file, &found()).unwrap().write().unwrap();
    assert_eq!(written[0], file);
    assert_eq!((mode(&file), config::load(&file).unwrap().config.connections.len()), (0o640, 1));
}

#[test]
fn connections_of_one_name_get_a_file_each() {
    let other = include_str!("files/aws.xml")
        .replace("vpn-0a1b2c3d4e5f60718", "vpn 1")
        .replace("198.51.100.1", "198.51.100.3")
        .replace("169.254.1", "169.254.2");
    let one = include_str!("files/aws.xml").replace("vpn-0a1b2c3d4e5f60718", "vpn/1");
    let found = read(Origin::Aws, &[&one, &other]).unwrap().answered(&Answers::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gotthard.toml");
    plan(&file, &found).unwrap().write().unwrap();
    let connections = config::load(&file).unwrap().config.connections;
    let names: BTreeSet<&str> = connections.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["vpn-1", "vpn-1-2"].into());
    let keys = ["vpn-1-1.psk", "vpn-1-2.psk", "vpn-1-2-1.psk", "vpn-1-2-2.psk"];
    assert!(keys.iter().all(|key| folder.path().join("conf.d").join(key).exists()));
}

#[test]
fn behind_a_nat_the_clouds_address_of_ours_is_our_name_only() {
    let mut found = found();
    found.place(|_| false);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gotthard.toml");
    std::fs::write(&file, "").unwrap();
    plan(&file, &found).unwrap().write().unwrap();
    let config = config::load(&file).unwrap().config;
    assert_eq!(config.gateway.local, Local::Auto);
    let name = Some("203.0.113.10".parse().unwrap());
    assert!(config.connections[0].tunnels.iter().all(|tunnel| tunnel.local_id == name));
}

#[test]
fn an_own_gateway_table_is_kept_and_a_clash_is_refused_with_nothing_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gotthard.toml");
    std::fs::write(&file, "[gateway]\nlocal = \"auto\"\nasn = 65010\n").unwrap();
    plan(&file, &found()).unwrap().write().unwrap();
    let text = std::fs::read_to_string(folder.path().join("conf.d/vpn-1.toml")).unwrap();
    assert!(!text.contains("[gateway]"), "{text}");
    // The same endpoints below another name.
    let twin = found().answered(&Answers { name: Some("twin".to_owned()), ..Answers::default() }).unwrap();
    let Err(ApplyError::Invalid(errors)) = plan(&file, &twin) else { panic!("taken") };
    assert!(
        errors.0.iter().any(|error| error.problem.contains("is the peer of another tunnel")),
        "{errors:?}"
    );
    assert!(!folder.path().join("conf.d/twin.toml").exists());
    let sources = config::sources(&file).unwrap();
    config::parse_sources(&sources, &FileSecrets).unwrap();
}
