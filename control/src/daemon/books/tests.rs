use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::model::Config;
use crate::config::{NoSecrets, parse_str};

#[tokio::test]
async fn books_that_are_closed_are_opened_by_the_next_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let config = config();
    let mut books = opened(folder.path(), &config);
    books.carried(&config.connections[0], Carried { received: 10, sent: 20 });
    books.close().await;
    assert!(!books.failed);
    let file = folder.path().join(FILE);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, MODE);

    let mut next = opened(folder.path(), &config);
    next.carried(&config.connections[0], Carried { received: 1, sent: 2 });
    assert_eq!(in_out(&next), (11, 22));
}

#[tokio::test]
async fn books_are_written_once_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let config = config();
    let mut books = opened(folder.path(), &config);
    let at = |seconds| Time::from_epoch(Duration::from_secs(seconds));
    books.tend(at(100)).await;
    let first = books.writing.take().unwrap();
    first.await.unwrap().unwrap();
    books.carried(&config.connections[0], Carried { received: 1, sent: 2 });
    books.tend(at(159)).await;
    assert!(books.writing.is_none(), "not yet");
    assert_eq!(in_out(&Books::open(folder.path())), (0, 0));
    books.tend(at(160)).await;
    books.writing.take().unwrap().await.unwrap().unwrap();
    assert_eq!(in_out(&Books::open(folder.path())), (1, 2));
}

#[tokio::test]
async fn a_torn_file_is_set_aside_and_the_counting_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    let torn = "{\"schema_version\":1,\"this\":{\"month\":\"2026-1";
    fs::write(&file, torn).unwrap();
    let config = config();
    let mut books = opened(folder.path(), &config);
    assert_eq!(in_out(&books), (0, 0));
    books.close().await;
    assert_eq!(fs::read_to_string(folder.path().join("traffic.json.damaged")).unwrap(), torn);
    assert_eq!(in_out(&opened(folder.path(), &config)), (0, 0));
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_counting_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be: not even root can write below it.
    let state = folder.path().join("state");
    let config = config();
    let mut books = opened(&state, &config);
    fs::write(&state, "").unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o600)).unwrap();
    books.close().await;
    assert!(books.failed);
    books.carried(&config.connections[0], Carried { received: 1, sent: 2 });
    books.close().await;
    assert!(books.failed);
    assert_eq!(in_out(&books), (1, 2));

    fs::remove_file(&state).unwrap();
    books.close().await;
    assert!(!books.failed);
    assert_eq!(in_out(&opened(&state, &config)), (1, 2));
}

fn opened(state: &Path, config: &Config) -> Books {
    let mut books = Books::open(state);
    books.look(config);
    books
}

fn in_out(books: &Books) -> (u64, u64) {
    let month = books.status(&Prices::default(), None).this_month;
    month.clouds.first().map_or((0, 0), |cloud| (cloud.in_bytes, cloud.out_bytes))
}

fn config() -> Config {
    let text = "[connection.a]\ncloud = \"aws\"\nrouting = \"static\"\nremote = [\"10.200.0.0/16\"]\n\
                [[connection.a.tunnel]]\nname = \"1\"\npeer = \"198.51.100.11\"\ninside = \"169.254.10.2/30\"\n\
                psk = \"hunter2.hunter2\"\n";
    parse_str(text, "g.toml", &NoSecrets).unwrap().config
}
