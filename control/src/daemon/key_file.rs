//! The debug key file: what Wireshark needs to decrypt a capture, one line an SA, only where the operator asks for it.
//!
//! `FILE` has the form of Wireshark's `ikev2_decryption_table`, `FILE.esp` beside it that of its `esp_sa`: copied into a
//! profile's folder under these names they work as they are. Whoever reads them reads the traffic.

use core::fmt::{Display, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use gotthard_ike::codec::iana::IntegrityAlgorithm;
use gotthard_ike::event::ChildSa;
use gotthard_ike::suite::Cipher;
use gotthard_ike::{Install, RevealedKeys};
use rustix::fs::OFlags;
use tracing::{debug, error};
use zeroize::Zeroizing;

/// The two files, open.
pub(super) struct KeyFile {
    ike: Table,
    esp: Table,
}

impl KeyFile {
    /// Opens both, or makes them; what they hold already stays.
    pub(super) fn open(path: &Path) -> Result<Self, Refused> {
        let mut esp = path.as_os_str().to_owned();
        esp.push(".esp");
        Ok(Self { ike: Table::open(path.to_owned())?, esp: Table::open(esp.into())? })
    }

    /// Writes the keys of an IKE SA.
    pub(super) fn ike_sa(&mut self, keys: &RevealedKeys) {
        self.ike.append(ike_line(keys), &keys.suite);
    }

    /// Writes the keys of an ESP SA that is installed; any other change has none.
    pub(super) fn installed(&mut self, install: &Install) {
        let (Install::Inbound(sa) | Install::Outbound(sa)) = install else { return };
        self.esp.append(esp_line(sa), &sa.suite);
    }
}

/// One file.
struct Table {
    path: PathBuf,
    file: File,
    /// Octets that may still be written.
    room: u64,
}

impl Table {
    fn open(path: PathBuf) -> Result<Self, Refused> {
        let refused = |why: String| Refused { path: path.clone(), why };
        // A link would lead the keys elsewhere; a pipe would be waited for.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let opened = OpenOptions::new().append(true).create(true).mode(MODE).custom_flags(flags).open(&path);
        let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::LOOP) => refused("it is a symbolic link".to_owned()),
            _ => refused(error.to_string()),
        })?;
        let found = file.metadata().map_err(|error| refused(error.to_string()))?;
        check(&found, rustix::process::geteuid().as_raw()).map_err(refused)?;
        Ok(Self { room: MAX_FILE.saturating_sub(found.len()), path, file })
    }

    fn append(&mut self, line: Option<Zeroizing<String>>, suite: &dyn Display) {
        let Some(line) = line else {
            debug!(%suite, "Wireshark does not decrypt this suite: no keys are written");
            return;
        };
        if self.room == 0 {
            return;
        }
        let written = self.file.write_all(line.as_bytes());
        self.room = self.room.saturating_sub(line.len() as u64);
        let full = || io::Error::other(format!("it has reached {} MiB", MAX_FILE >> 20));
        if let Err(error) = written.and_then(|()| if self.room == 0 { Err(full()) } else { Ok(()) }) {
            error!(path = %self.path.display(), %error, "no more keys are written");
            self.room = 0;
        }
    }
}

/// Why a key file is not written.
#[derive(Debug, thiserror::Error)]
#[error("gateway.debug_keys: {}: {why}: name a file that does not exist, or remove the key", path.display())]
pub(super) struct Refused {
    path: PathBuf,
    why: String,
}

/// A file that was there already is ours, and nobody else's in any way.
fn check(found: &std::fs::Metadata, us: u32) -> Result<(), String> {
    let mode = found.mode() & 0o7777;
    if !found.is_file() {
        Err("it is no regular file".to_owned())
    } else if found.uid() != us {
        Err(format!("it belongs to user {}", found.uid()))
    } else if mode & !MODE != 0 {
        Err(format!("it has mode {mode:04o}, wider than {MODE:04o}"))
    } else if found.nlink() != 1 {
        Err(format!("it has {} names", found.nlink()))
    } else {
        Ok(())
    }
}

/// SPIi, SPIr, SK_ei, SK_er, cipher, SK_ai, SK_ar, integrity.
fn ike_line(keys: &RevealedKeys) -> Option<Zeroizing<String>> {
    let RevealedKeys { spi_i, spi_r, suite, ei, er, ai, ar } = keys;
    let cipher = match suite.cipher {
        Cipher::AES_128_CBC => "AES-CBC-128 [RFC3602]",
        Cipher::AES_256_CBC => "AES-CBC-256 [RFC3602]",
        Cipher::AES_128_GCM_16 => "AES-GCM-128 with 16 octet ICV [RFC5282]",
        Cipher::AES_256_GCM_16 => "AES-GCM-256 with 16 octet ICV [RFC5282]",
        _ => return None,
    };
    let integrity = match suite.integrity {
        None => "NONE [RFC4306]",
        Some(IntegrityAlgorithm::HMAC_SHA2_256_128) => "HMAC_SHA2_256_128 [RFC4868]",
        Some(IntegrityAlgorithm::HMAC_SHA2_384_192) => "HMAC_SHA2_384_192 [RFC4868]",
        Some(IntegrityAlgorithm::HMAC_SHA2_512_256) => "HMAC_SHA2_512_256 [RFC4868]",
        Some(_) => return None,
    };
    let mut line = line();
    write!(line, "{spi_i:016x},{spi_r:016x},").ok()?;
    hex(&mut line, ei.as_bytes());
    line.push(',');
    hex(&mut line, er.as_bytes());
    write!(line, ",\"{cipher}\",").ok()?;
    hex(&mut line, ai.as_bytes());
    line.push(',');
    hex(&mut line, ar.as_bytes());
    writeln!(line, ",\"{integrity}\"").ok()?;
    Some(line)
}

/// Protocol, source, destination, SPI, cipher, key, integrity, key. The SPI says enough: addresses change on the way.
fn esp_line(sa: &ChildSa) -> Option<Zeroizing<String>> {
    let cipher = match sa.suite.cipher {
        Cipher::AES_128_CBC | Cipher::AES_256_CBC => "AES-CBC [RFC3602]",
        Cipher::AES_128_GCM_16 | Cipher::AES_256_GCM_16 => "AES-GCM with 16 octet ICV [RFC4106]",
        _ => return None,
    };
    let integrity = match sa.suite.integrity {
        None => "NULL",
        Some(IntegrityAlgorithm::HMAC_SHA2_256_128) => "HMAC-SHA-256-128 [RFC4868]",
        Some(IntegrityAlgorithm::HMAC_SHA2_384_192) => "HMAC-SHA-384-192 [RFC4868]",
        Some(IntegrityAlgorithm::HMAC_SHA2_512_256) => "HMAC-SHA-512-256 [RFC4868]",
        Some(_) => return None,
    };
    let protocol = if sa.remote.is_ipv6() { "IPv6" } else { "IPv4" };
    let mut line = line();
    write!(line, "\"{protocol}\",\"*\",\"*\",\"{:#010x}\",\"{cipher}\",\"0x", sa.spi).ok()?;
    hex(&mut line, &sa.keys.encryption);
    write!(line, "\",\"{integrity}\",\"").ok()?;
    if !sa.keys.integrity.is_empty() {
        line.push_str("0x");
        hex(&mut line, &sa.keys.integrity);
    }
    line.push_str("\"\n");
    Some(line)
}

/// An empty line that holds the longest without growing: growth would leave keys behind.
fn line() -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(LONGEST_LINE))
}

fn hex(line: &mut String, octets: &[u8]) {
    for octet in octets {
        for nibble in [octet >> 4, octet & 0xf] {
            line.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
}

/// Its owner alone.
const MODE: u32 = 0o600;
/// Some 50,000 SAs. Who starts handshakes without end must not fill the disk.
const MAX_FILE: u64 = 16 << 20;
/// Two keys of 64 and two of 36 octets in hexadecimal digits, with all around them.
const LONGEST_LINE: usize = 1024;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use gotthard_ike::config::{Encapsulation, PeerId};
    use gotthard_ike::event::EspKeys;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn lines_are_those_of_wiresharks_tables() {
        let gcm = sa("aes128gcm16", 20, 0);
        assert_eq!(
            esp_line(&gcm).as_deref().map(String::as_str),
            Some(
                "\"IPv4\",\"*\",\"*\",\"0x0000beef\",\"AES-GCM with 16 octet ICV [RFC4106]\",\
                 \"0xa5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\",\"NULL\",\"\"\n"
            )
        );
        let cbc = esp_line(&sa("aes256-sha512", 32, 64)).expect("a line");
        assert!(
            cbc.contains("\"AES-CBC [RFC3602]\"") && cbc.contains("\"HMAC-SHA-512-256 [RFC4868]\",\"0x5a")
        );
        assert!(cbc.len() < LONGEST_LINE);
        assert!(esp_line(&sa("chacha20poly1305", 36, 0)).is_none());
    }

    #[test]
    fn files_are_made_for_their_owner_alone_and_go_on_where_they_ended() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("keys");
        for lines in 1..=2 {
            let mut keys = KeyFile::open(&path).expect("a key file");
            keys.installed(&Install::Inbound(sa("aes128gcm16", 20, 0)));
            keys.installed(&Install::RemoveInbound { peer: PeerId(1), spi: 0xbeef });
            let esp = folder.path().join("keys.esp");
            assert_eq!(fs::read_to_string(&esp).expect("the file").lines().count(), lines);
            for file in [&path, &esp] {
                assert_eq!(fs::metadata(file).expect("the file").permissions().mode() & 0o7777, 0o600);
            }
        }
        assert_eq!(fs::read(&path).expect("the file"), b"");
    }

    #[test]
    fn what_others_could_read_or_lead_astray_is_refused() {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("wide"), "").expect("a file");
        fs::set_permissions(at("wide"), fs::Permissions::from_mode(0o640)).expect("its mode");
        symlink(at("elsewhere"), at("link")).expect("a link");
        drop(Table::open(at("two")).expect("a file"));
        fs::hard_link(at("two"), at("names")).expect("a second name");
        fs::create_dir(at("folder")).expect("a folder");
        for (name, why) in [
            ("wide", "mode 0640"),
            ("link", "symbolic link"),
            ("two", "2 names"),
            ("folder", "directory"),
            ("absent/keys", "No such file"),
        ] {
            let refused = Table::open(at(name)).map(drop).expect_err(name).to_string();
            assert!(refused.contains(why) && refused.starts_with("gateway.debug_keys: "), "{refused}");
        }
        assert!(!at("elsewhere").exists());
    }

    #[test]
    fn a_file_that_is_full_takes_no_more() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("keys");
        let mut table = Table::open(path.clone()).expect("a file");
        table.room = 8;
        for line in ["123456789", "0"] {
            table.append(Some(Zeroizing::new(line.to_owned())), &"aes128");
        }
        assert_eq!(fs::read(path).expect("the file"), b"123456789");
    }

    fn sa(suite: &str, encryption: usize, integrity: usize) -> ChildSa {
        ChildSa {
            peer: PeerId(1),
            spi: 0xbeef,
            suite: suite.parse().expect("a suite"),
            keys: EspKeys { encryption: vec![0xa5; encryption], integrity: vec![0x5a; integrity] },
            esn: false,
            ts_local: Vec::new(),
            ts_remote: Vec::new(),
            encapsulation: Encapsulation::Udp,
            local: ([203, 0, 113, 10], 4500).into(),
            remote: ([198, 51, 100, 11], 4500).into(),
        }
    }
}
