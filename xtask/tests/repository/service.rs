//! The systemd unit: what systemd itself says of it, without starting anything.

use std::process::Command;

use crate::tree::root;

/// 0 is a service that may do nothing, 10 one that may do everything.
const EXPOSURE: &str = "25";

#[test]
fn the_unit_is_exposed_no_more_than_it_must() {
    let unit = root().join("contrib/systemd/gotthard.service");
    let rating = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE])
        .arg(&unit)
        .output();
    let Ok(rating) = rating else {
        eprintln!("not run: there is no systemd-analyze");
        return;
    };
    let (said, wrong) = (String::from_utf8_lossy(&rating.stdout), String::from_utf8_lossy(&rating.stderr));
    // A word of the unit that systemd does not know is on standard error, and changes no exit code.
    assert!(rating.status.success() && wrong.is_empty(), "{said}{wrong}");
}
