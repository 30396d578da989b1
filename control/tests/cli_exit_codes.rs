//! The binary itself: exit codes and what goes to which stream.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gotthard::api::messages::{RefusalKind, Request, Response};
use gotthard::api::server::{Call, bind, serve};
use gotthard::api::status::{ConnectionState, ConnectionStatus, DataplaneStatus, Status};
use gotthard::events::Events;
use gotthard::metrics::Meters;
use tempfile::TempDir;
use tokio::sync::mpsc;

const VALID: &str = "[connection.a]\nrouting = \"static\"\nremote = [\"10.200.0.0/16\"]\n\
                     [[connection.a.tunnel]]\nname = \"1\"\npeer = \"192.0.2.1\"\npsk = \"abcdefgh\"\n";

#[test]
fn check_of_a_valid_file_warns_on_standard_error_and_exits_with_0() {
    let folder = folder(VALID);
    let done = gotthard(&["check", "--config", &config(&folder)]);
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(stdout(&done), format!("{}: valid: 1 connection, 1 tunnel, 1 warning\n", config(&folder)));
    assert!(
        stderr(&done).starts_with("warning: ") && stderr(&done).contains("there is one tunnel"),
        "{}",
        stderr(&done)
    );
}

#[test]
fn an_invalid_configuration_exits_with_4_and_names_its_place() {
    let folder = folder(&VALID.replace("peer", "peeer"));
    for command in ["check", "run"] {
        let done = gotthard(&[command, "--config", &config(&folder)]);
        assert_eq!(done.status.code(), Some(4), "{command}: {}", stderr(&done));
        assert_eq!(stdout(&done), "");
        let place = format!("{}:6:1: connection.a.tunnel[1].peeer: unknown key", config(&folder));
        assert!(stderr(&done).contains(&place), "{command}: {}", stderr(&done));
        assert!(stderr(&done).contains("did you mean `peer`?"), "{command}: {}", stderr(&done));
    }
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for wrong in [
        &["fly"][..],
        &[],
        &["up"],
        &["up", "a/b/c"],
        &["rekey", "a"],
        &["rekey", "a/1", "--child"],
        &["status", "--output", "xml"],
        &["check", "--speed"],
    ] {
        assert_eq!(gotthard(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(gotthard(&["explain", "GTH-IKE-99"]).status.code(), Some(2));
    assert_eq!(gotthard(&["explain", "GTH-IKE-09"]).status.code(), Some(0));
    assert_eq!(gotthard(&["--help"]).status.code(), Some(0));
}

#[test]
fn without_a_daemon_it_exits_with_3_and_says_how_to_name_the_socket() {
    for command in [&["status"][..], &["up", "a"], &["down", "a/1"], &["rekey", "a/1"], &["reload"]] {
        let done = Command::new(env!("CARGO_BIN_EXE_gotthard"))
            .args(command)
            .env("GOTTHARD_SOCKET", "/nonexistent/gotthard.sock")
            .output()
            .unwrap();
        assert_eq!(done.status.code(), Some(3), "{command:?}");
        let said = stderr(&done);
        assert!(said.contains("/nonexistent/gotthard.sock") && said.contains("GOTTHARD_SOCKET"), "{said}");
    }
}

#[tokio::test]
async fn answers_of_the_daemon_decide_the_exit_code() {
    let status = |state| Status::new(DataplaneStatus::default(), vec![connection(state)]);
    let state = |state| Response::Status(Box::new(status(state)));
    let refused = |kind| Response::refused(kind, "no \u{1b}[2J such thing");
    let done = Response::Done { message: "a/1: wanted up".to_owned() };
    let cases = [
        (&["status"][..], state(ConnectionState::Up), 0),
        (&["status"], state(ConnectionState::Degraded), 5),
        (&["status", "--output", "json"], state(ConnectionState::Down), 5),
        (&["status", "b"], refused(RefusalKind::NotFound), 1),
        (&["up", "a/1"], done, 0),
        (&["down", "b"], refused(RefusalKind::NotFound), 1),
        (&["reload"], refused(RefusalKind::ConfigInvalid), 4),
        (&["reload"], refused(RefusalKind::Unavailable), 3),
    ];
    for (command, response, code) in cases {
        let answered = answered_with(response);
        let socket = answered.path().join("s");
        let arguments = [&["--socket", socket.to_str().unwrap()], command].concat();
        let done = tokio::task::spawn_blocking({
            let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
            move || gotthard(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let done = done.await.unwrap();
        assert_eq!(done.status.code(), Some(code), "{command:?}: {}", stderr(&done));
        assert!(!stderr(&done).contains('\u{1b}') && !stdout(&done).contains('\u{1b}'), "{command:?}");
        if command.contains(&"json") {
            let status: Status = serde_json::from_str(&stdout(&done)).unwrap();
            assert_eq!(status.connections[0].name, "a\u{1b}");
        }
    }
}

fn connection(state: ConnectionState) -> ConnectionStatus {
    ConnectionStatus { name: "a\u{1b}".to_owned(), state, tunnels: Vec::new() }
}

/// A socket, `s` in the folder, where every request has this answer.
fn answered_with(response: Response) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (calls, mut asked) = mpsc::channel::<Call>(1);
    tokio::spawn(serve(bind(&folder.path().join("s")).unwrap(), calls, Events::default(), Meters::default()));
    tokio::spawn(async move {
        while let Some(Call { request, answer }) = asked.recv().await {
            if let Request::Status { connection: Some(name) } = &request {
                assert_eq!(name, "b");
            }
            drop(answer.send(response.clone()));
        }
    });
    folder
}

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("g.toml"), text).unwrap();
    folder
}

fn config(folder: &TempDir) -> String {
    Path::join(folder.path(), "g.toml").display().to_string()
}

fn gotthard(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gotthard")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
