//! The recipe of the image and the commands of its README: what they say of the package and of the unit is so.

use std::collections::BTreeSet;

use crate::tree::{read, root};

#[test]
fn the_image_takes_from_the_deb_what_is_in_it() {
    let recipe = read(&root().join("contrib/oci/Containerfile"));
    let manifest = read(&root().join("control/Cargo.toml"));
    let taken: Vec<_> = recipe.split_whitespace().filter_map(|word| word.strip_prefix("/deb/")).collect();
    assert!(taken.len() >= 2, "{taken:?}");
    for path in taken {
        let (folder, name) = path.rsplit_once('/').expect("a folder");
        let is_asset =
            |line: &str| line.contains(&format!("\"{folder}/\"")) && line.contains(&format!("/{name}\""));
        assert!(manifest.lines().any(is_asset), "the deb has no /{path}");
        let placed = format!("/image/{path}");
        assert!(recipe.contains(&placed), "{placed} is not made");
    }
}

#[test]
fn the_image_starts_as_the_unit_does() {
    let recipe = read(&root().join("contrib/oci/Containerfile"));
    let start = values(&unit(), "ExecStart=").concat();
    let words: Vec<_> = start.split_whitespace().collect();
    let [program, argument] = words[..] else { panic!("{start}") };
    assert!(recipe.contains(&format!("ENTRYPOINT [\"{program}\"]")), "{program}");
    assert!(recipe.contains(&format!("CMD [\"{argument}\"]")), "{argument}");
}

#[test]
fn a_container_gets_the_capabilities_and_folders_of_the_unit() {
    let (unit, readme) = (unit(), read(&root().join("contrib/oci/README.md")));
    let of_unit: BTreeSet<_> = values(&unit, "CapabilityBoundingSet=")
        .iter()
        .flat_map(|value| value.split_whitespace())
        .map(|capability| capability.trim_start_matches("CAP_").to_owned())
        .collect();
    let of_command: BTreeSet<_> = readme.split("--cap-add ").skip(1).map(first_word).collect();
    let of_quadlet: BTreeSet<_> = values(&readme, "AddCapability=")
        .iter()
        .flat_map(|value| value.split_whitespace())
        .map(str::to_owned)
        .collect();
    assert_eq!((of_command, of_quadlet), (of_unit.clone(), of_unit));

    let [run, state] = ["RuntimeDirectory=", "StateDirectory="].map(|key| values(&unit, key).concat());
    for option in [
        format!("--tmpfs /run/{run}"),
        format!("Tmpfs=/run/{run}"),
        format!("--volume /var/lib/{state}:/var/lib/{state} "),
        format!("Volume=/var/lib/{state}:/var/lib/{state}\n"),
    ] {
        assert!(readme.contains(&option), "{option}");
    }
    for key in ["StartLimitIntervalSec=", "Restart=", "RestartSec=", "RestartPreventExitStatus="] {
        assert_eq!(values(&readme, key), values(&unit, key), "{key}");
    }
    let device = values(&unit, "DeviceAllow=").concat();
    let device = first_word(&device);
    assert!(readme.contains(&format!("--device {device} ")), "{device}");
    assert!(readme.contains(&format!("AddDevice={device}\n")), "{device}");
}

fn unit() -> String {
    read(&root().join("contrib/systemd/gotthard.service"))
}

/// What follows a key, in each of its lines.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.strip_prefix(key)).collect()
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}
