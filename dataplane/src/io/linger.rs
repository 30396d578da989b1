//! What a gateway that was killed leaves for a moment: the kernel ends its rings, and with them its sockets and TUN devices,
//! some milliseconds after the process. Its successor outlasts that.

use std::io;
use std::time::{Duration, Instant};

/// Opens something whose name or address may still be held by a process that is gone: tries again while `open` fails with the
/// error `taken`. Who holds it for longer is alive, and keeps it.
pub(super) fn outlast<T>(taken: i32, mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + LINGERS;
    loop {
        match open() {
            Err(error) if error.raw_os_error() == Some(taken) && Instant::now() < deadline => {
                // The kernel tells nobody when it is done.
                std::thread::sleep(AGAIN);
            }
            result => return result,
        }
    }
}

/// Far longer than the kernel takes, and not long for an operator who has given a name twice.
const LINGERS: Duration = Duration::from_secs(1);

const AGAIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_is_taken_and_other_errors_are_told_at_once() {
        let mut tries = 0;
        let opened = outlast(libc::EBUSY, || {
            tries += 1;
            if tries < 3 { Err(io::Error::from_raw_os_error(libc::EBUSY)) } else { Ok(tries) }
        });
        assert_eq!(opened.ok(), Some(3));
        let refused = outlast(libc::EBUSY, || Err::<(), _>(io::Error::from_raw_os_error(libc::EPERM)));
        assert_eq!(refused.map_err(|error| error.raw_os_error()), Err(Some(libc::EPERM)));
    }
}
