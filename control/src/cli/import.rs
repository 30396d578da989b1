//! `gotthard import`.

use std::fs::File;
use std::io::{self, Read};
use std::net::UdpSocket;
use std::path::Path;

use zeroize::Zeroizing;

use super::args::ImportArgs;
use super::exit::Exit;
use super::text;
use crate::import::apply::{self, ApplyError};
use crate::import::emit::{self, Keys};
use crate::import::{self, Found, FoundConnection, MAX_FILE};

/// Prints what the files describe as our configuration, or writes it; remarks and mistakes go to standard error.
pub(super) fn import(wanted: &ImportArgs) -> Exit {
    let mut found = match read(wanted) {
        Ok(found) => found,
        Err(error) => return refuse(&error),
    };
    for remark in found.remarks.iter().chain(found.connections.iter().flat_map(|one| &one.remarks)) {
        eprintln!("remark: {}", text::line(remark));
    }
    let missing: Vec<_> = found.connections.iter().flat_map(FoundConnection::missing).collect();
    for one in &missing {
        refuse(&one.to_string());
    }
    if wanted.apply || wanted.dry_run {
        if !missing.is_empty() {
            return Exit::Failed;
        }
        found.place(|local| UdpSocket::bind((local, 0)).is_ok());
        return write(wanted, &found);
    }
    print!("{}", emit::emit(&found, true, Keys::Inline));
    if missing.is_empty() { Exit::Ok } else { Exit::Failed }
}

fn read(wanted: &ImportArgs) -> Result<Found, String> {
    let texts: Vec<_> = wanted.files.iter().map(|path| read_file(path)).collect::<Result<_, _>>()?;
    let texts: Vec<&str> = texts.iter().map(|text| text.as_str()).collect();
    let found = import::read(wanted.cloud.into(), &texts).and_then(|found| found.answered(&wanted.answers()));
    found.map_err(|refused| refused.to_string())
}

/// One file, or standard input; never more than the bound of it.
fn read_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let cannot = |error: io::Error| format!("{}: {error}", path.display());
    let mut octets = Zeroizing::new(Vec::new());
    if path == Path::new("-") {
        io::stdin().take(MAX_FILE as u64 + 1).read_to_end(&mut octets).map_err(cannot)?;
    } else {
        let file = File::open(path).map_err(cannot)?;
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut octets).map_err(cannot)?;
    }
    let text = core::str::from_utf8(&octets).map_err(|_| format!("{}: is no UTF-8 text", path.display()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn write(wanted: &ImportArgs, found: &Found) -> Exit {
    let plan = match apply::plan(&wanted.config.config, found) {
        Ok(plan) => plan,
        Err(error) => return cannot_apply(&error),
    };
    if wanted.dry_run {
        print!("{}", text::lines(&plan.difference()));
        return Exit::Ok;
    }
    match plan.write() {
        Ok(files) => {
            for file in files {
                println!("wrote {}", text::line(&file.display().to_string()));
            }
            eprintln!(
                "take it over with: gotthard reload, or systemctl start gotthard where it does not run yet"
            );
            Exit::Ok
        }
        Err(error) => cannot_apply(&error),
    }
}

fn cannot_apply(error: &ApplyError) -> Exit {
    if let ApplyError::Invalid(errors) = error {
        for error in &errors.0 {
            refuse(&error.to_string());
        }
        refuse(&error.to_string());
        return Exit::ConfigInvalid;
    }
    refuse(&error.to_string())
}

fn refuse(error: &str) -> Exit {
    eprintln!("error: {}", text::lines(error));
    Exit::Failed
}
