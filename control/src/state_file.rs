//! Small files that a daemon leaves to the next one in the state folder. They are written whole ([`crate::whole_file`]) and
//! read with distrust: what a torn disk, another version or a careless hand has made of one is set aside, and the daemon
//! starts without it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use tracing::warn;

/// What the file says, as `parse` understands it. `None`: there is no such file, or it was set aside, and the log says so.
pub fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let parsed = match text(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => Err(error.to_string()),
        Ok(text) => parse(&text).ok_or_else(|| "it is not whole".to_owned()),
    };
    parsed.map_err(|why| set_aside(path, &why)).ok()
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("it is larger than {} KiB", MAX_FILE >> 10)));
    }
    Ok(text)
}

/// Renames it, for whoever wants to know what became of it. The last one of its name is kept.
fn set_aside(path: &Path, why: &str) {
    let aside = aside(path);
    let shown = path.display();
    match fs::rename(path, &aside) {
        Ok(()) => {
            warn!(file = %shown, why, aside = %aside.display(), "a file of the state folder is set aside");
        }
        Err(error) => warn!(file = %shown, why, %error, "a file of the state folder is passed over"),
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    name.into()
}

/// A file that a daemon has written is smaller.
pub const MAX_FILE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn number(text: &str) -> Option<u32> {
        text.strip_suffix('\n')?.parse().ok()
    }

    #[test]
    fn a_whole_file_is_read_and_stays() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("file");
        assert_eq!(read(&path, number), None, "there is none");
        fs::write(&path, "7\n").expect("a file");
        assert_eq!(read(&path, number), Some(7));
        assert!(path.exists() && !aside(&path).exists());
    }

    #[test]
    fn what_cannot_be_understood_is_set_aside_and_kept() {
        let too_large = vec![b'1'; usize::try_from(MAX_FILE).expect("a size") + 1];
        for damaged in [&b""[..], b"7", b"\xff\xfe\0\x01\n", &[0; 4096], &too_large] {
            let folder = TempDir::new().expect("a folder");
            let path = folder.path().join("file");
            for _ in 0..2 {
                fs::write(&path, damaged).expect("a file");
                assert_eq!(read(&path, number), None);
                assert!(!path.exists());
                assert_eq!(fs::read(aside(&path)).expect("the file"), damaged);
            }
            assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "it does not grow");
        }
    }

    #[test]
    fn what_is_no_file_is_set_aside_too() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("file");
        fs::create_dir(&path).expect("a folder");
        assert_eq!(read(&path, number), None);
        assert!(!path.exists() && aside(&path).is_dir());
    }
}
