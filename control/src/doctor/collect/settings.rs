//! Kernel settings, as they are below /proc/sys.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::doctor::judge;

/// Those that are judged; one that the kernel lacks is left out.
pub(super) fn sysctls() -> BTreeMap<&'static str, u32> {
    let value = |name: &'static str| number(&Path::new(ROOT).join(name.replace('.', "/")));
    judge::SETTINGS.into_iter().filter_map(|name| Some((name, value(name)?))).collect()
}

/// Of each device. Names of devices may have dots in them: they are folders here, and never parts of a name.
pub(super) fn rp_filter() -> BTreeMap<String, u32> {
    let Ok(devices) = fs::read_dir(Path::new(ROOT).join("net/ipv4/conf")) else { return BTreeMap::new() };
    let of = |device: fs::DirEntry| {
        Some((device.file_name().into_string().ok()?, number(&device.path().join("rp_filter"))?))
    };
    devices.flatten().filter_map(of).collect()
}

fn number(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

const ROOT: &str = "/proc/sys";
