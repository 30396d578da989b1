//! Hooks as processes: what is run, with what around it, for how long, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use core::time::Duration;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use gotthard::hooks::folder::{Found, scan};
use gotthard::hooks::queue::MAX_WAITING;
use gotthard::hooks::{Event, Hooks, Reason, What};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tempfile::TempDir;

/// A folder of hooks, and one for what they write.
struct Place {
    hooks: TempDir,
    out: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { hooks: TempDir::new().unwrap(), out: TempDir::new().unwrap() }
    }

    /// Writes a hook; `OUT` in it is the folder to write to.
    fn hook(&self, name: &str, script: &str) -> PathBuf {
        let path = self.hooks.path().join(name);
        let script = script.replace("OUT", &self.out.path().display().to_string());
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn hooks(&self, limit: Duration) -> Hooks {
        let hooks = Hooks::new(limit);
        hooks.set_folder(Some(self.hooks.path().to_owned()));
        hooks
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.out.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn failover(connection: &str, to: &str) -> Event {
    let what = What::Failover { from: Vec::new(), to: vec![to.to_owned()], gap: None };
    Event { connection: connection.to_owned(), tunnel: None, what }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn the_environment_is_the_events_and_nothing_else() {
    let place = Place::new();
    place.hook(
        "10-env",
        "/usr/bin/env -u PWD -u _ -u SHLVL | /usr/bin/sort > OUT/env; pwd > OUT/pwd; cat > OUT/stdin",
    );
    let hooks = place.hooks(PATIENCE);
    let what = What::BgpDown(Reason { code: "GTH-BGP-07", message: "$(reboot) `x`; 'y' \"z\"".to_owned() });
    hooks.tell(Event { connection: "aws".to_owned(), tunnel: None, what: what.clone() });
    hooks.finish(PATIENCE).await;
    let event = Event { connection: "aws".to_owned(), tunnel: None, what };
    let mut expected: Vec<String> =
        event.environment(0).iter().map(|(name, value)| format!("{name}={value}")).collect();
    expected.sort();
    assert_eq!(place.lines("env"), expected);
    assert!(expected.contains(&"GOTTHARD_MESSAGE=$(reboot) `x`; 'y' \"z\"".to_owned()));
    assert_eq!(place.lines("pwd"), ["/"]);
    assert_eq!(fs::metadata(place.out.path().join("stdin")).unwrap().len(), 0, "standard input is empty");
}

#[tokio::test]
async fn hooks_run_in_the_order_of_their_names_and_events_in_theirs() {
    let place = Place::new();
    for name in ["20-second", "10-first"] {
        place.hook(name, &format!("echo {name} $GOTTHARD_TO >> OUT/order"));
    }
    let hooks = place.hooks(PATIENCE);
    hooks.tell(failover("aws", "1"));
    hooks.tell(failover("aws", "2"));
    hooks.finish(PATIENCE).await;
    assert_eq!(place.lines("order"), ["10-first 1", "20-second 1", "10-first 2", "20-second 2"]);
}

#[tokio::test]
async fn a_hook_that_takes_too_long_is_ended_with_its_children_and_the_next_one_runs() {
    let place = Place::new();
    // Neither listens to SIGTERM; the child holds the output open.
    place.hook("10-slow", "trap '' TERM; /bin/sleep 600 & echo $! > OUT/child; wait; /bin/sleep 600");
    place.hook("20-next", "echo ran > OUT/next");
    let hooks = place.hooks(Duration::from_millis(300));
    let start = Instant::now();
    hooks.tell(failover("aws", "1"));
    hooks.finish(PATIENCE).await;
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < PATIENCE);
    assert_eq!(place.lines("next"), ["ran"]);
    await_end(&place.lines("child").concat());
}

#[tokio::test]
async fn what_a_hook_leaves_behind_ends_with_it() {
    let place = Place::new();
    place.hook("10-leaves", "/bin/sleep 600 & echo $! > OUT/child");
    let hooks = place.hooks(PATIENCE);
    let start = Instant::now();
    hooks.tell(failover("aws", "1"));
    hooks.finish(PATIENCE).await;
    assert!(start.elapsed() < PATIENCE, "the pipe that the child holds is not waited for");
    await_end(&place.lines("child").concat());
}

#[tokio::test]
async fn a_hook_that_fails_or_floods_its_output_keeps_the_next_one_from_nothing() {
    let place = Place::new();
    place.hook("10-fails", "exit 3");
    place.hook(
        "20-floods",
        "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo done >> OUT/flood",
    );
    place.hook("30-last", "echo ran > OUT/last");
    let hooks = place.hooks(PATIENCE);
    hooks.tell(failover("aws", "1"));
    hooks.finish(PATIENCE).await;
    assert_eq!(
        (place.lines("flood"), place.lines("last")),
        (vec!["done".to_owned()], vec!["ran".to_owned()])
    );
}

#[tokio::test]
async fn a_flood_of_events_blocks_nobody_and_its_last_word_is_told() {
    let place = Place::new();
    // The first event waits until all are told.
    let wait = "while [ ! -e OUT/go ]; do /bin/sleep 0.01; done";
    place.hook("10", &format!("{wait}; echo $GOTTHARD_TO $GOTTHARD_MISSED >> OUT/$GOTTHARD_CONNECTION"));
    let hooks = place.hooks(PATIENCE);
    for number in 0..1000 {
        hooks.tell(failover("aws", &number.to_string()));
    }
    hooks.tell(failover("other", "1"));
    fs::write(place.out.path().join("go"), "").unwrap();
    hooks.finish(PATIENCE).await;
    let told = place.lines("aws");
    assert!(told.len() <= MAX_WAITING + 1, "{}", told.len());
    assert_eq!(told.last().map(String::as_str), Some("999 0"));
    let missed: u64 = told.iter().map(|line| line.split_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(missed + told.len() as u64, 1000, "every event was told or counted");
    assert_eq!(place.lines("other"), ["1 0"]);
}

#[tokio::test]
async fn at_the_end_hooks_that_have_not_begun_are_left_out() {
    let place = Place::new();
    place.hook("10", "echo $GOTTHARD_TO >> OUT/told; /bin/sleep 1");
    let hooks = place.hooks(PATIENCE);
    for number in 0..5 {
        hooks.tell(failover("aws", &number.to_string()));
    }
    hooks.finish(Duration::from_millis(100)).await;
    hooks.tell(failover("aws", "late"));
    assert_eq!(place.lines("told"), ["0"]);
}

#[test]
fn what_somebody_else_could_have_put_there_is_refused() {
    let place = Place::new();
    let good = place.hook("10-good", "");
    mode(&place.hook("20-group", ""), 0o775);
    mode(&place.hook("30-everybody", ""), 0o757);
    mode(&place.hook("40-plain", ""), 0o644);
    symlink(&good, place.hooks.path().join("50-link")).unwrap();
    fs::create_dir(place.hooks.path().join("60-folder")).unwrap();
    place.hook(".hidden", "");
    place.hook("70-old~", "");
    let found = scan(place.hooks.path()).unwrap();
    assert_eq!(found.hooks, [good]);
    let why = [
        "others can write it (mode 0775)",
        "others can write it (mode 0757)",
        "not executable",
        "symbolic",
        "no regular file",
    ];
    assert_eq!(found.refused.len(), why.len(), "{:?}", found.refused);
    for (refused, why) in found.refused.iter().zip(why) {
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn a_file_of_another_user_is_refused_and_a_folder_of_everybodys_as_a_whole() {
    let place = Place::new();
    let hook = place.hook("10", "");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&hook, Some(65534), None).unwrap();
        assert!(scan(place.hooks.path()).unwrap().refused.concat().contains("belongs to user 65534"));
    }
    mode(place.hooks.path(), 0o777);
    let Found { hooks, refused } = scan(place.hooks.path()).unwrap();
    assert!(hooks.is_empty() && refused.concat().contains("no hook of it is run"), "{refused:?}");
    assert!(scan(&place.hooks.path().join("none")).is_err());
}

/// Waits for the end of a process that was killed.
fn await_end(number: &str) {
    let process = Pid::from_raw(number.parse().unwrap()).unwrap();
    // One that is gone already cannot be opened.
    let Ok(handle) = pidfd_open(process, PidfdFlags::empty()) else { return };
    let most = Timespec::try_from(PATIENCE).unwrap();
    let ended = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&most)).unwrap();
    assert_eq!(ended, 1, "process {number} still runs");
}

/// On a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);
