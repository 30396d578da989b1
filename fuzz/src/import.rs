//! Files of the clouds: read as connections that can be written, or refused.

use gotthard::import::emit::{Keys, emit};
use gotthard::import::{Answers, Origin, read};

/// Reads `data` as a file of a cloud; the first octet says of which. What is found is a configuration's text.
pub fn import(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = str::from_utf8(rest) else { return };
    let origin = [Origin::Aws, Origin::Azure, Origin::Gcp][usize::from(*first) % 3];
    let answers = Answers { with_conflicts: true, ..Answers::default() };
    match read(origin, &[text]).and_then(|found| found.answered(&answers)) {
        Ok(found) => {
            let written = emit(&found, true, Keys::Inline);
            assert!(toml::from_str::<toml::Table>(&written).is_ok(), "no TOML");
        }
        Err(refused) => assert!(!refused.to_string().is_empty(), "a refusal without a reason"),
    }
}
