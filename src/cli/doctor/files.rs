//! Files: who may read the secret keys and the database, whether the database can be written, and how much room there is.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Report;
use crate::config::Config;
use crate::store::connect::sqlite_path;

/// Less than this many KiB is too little to go on without looking.
const LITTLE_ROOM_KIB: u64 = 1 << 20;

pub(super) fn secret_keys(report: &mut Report, config: &Config) {
    const NAME: &str = "secret keys";
    let file = config.secret_key_file();
    if let Some(file) = &file {
        if !file.exists() {
            // Once there are orders it is not the first start that is to come; the database's checks say so.
            if !sqlite_path(&config.database.url).is_some_and(|database| database.exists()) {
                first_key(report, file);
            }
            return;
        }
        if let Err((found, mend)) = private(file) {
            report.fail(NAME, found, mend);
            return;
        }
    }
    match config.secret_keys() {
        Ok(_) => {
            let place = match &file {
                Some(file) => format!("in {}, for its owner only", file.display()),
                None => "given by TILL_SECRET_KEYS".to_owned(),
            };
            report.ok(NAME, place);
        }
        Err(error) => report.fail(NAME, "they cannot be used", error.to_string()),
    }
}

/// Says that there is no key file, and when there will be one.
pub(super) fn first_key(report: &mut Report, file: &Path) {
    let found = format!("none yet; the first start makes {}", file.display());
    report.ok("secret keys", found);
}

/// Whether only this user can read a file; what was found and how to mend it otherwise.
fn private(file: &Path) -> Result<(), (String, String)> {
    let name = file.display();
    let data = file.metadata().map_err(|error| {
        let mend = "see that the folder can be entered by the user Till runs as";
        (
            format!("{name} cannot be looked at: {error}"),
            mend.to_owned(),
        )
    })?;
    // The process's own entry belongs to the user it runs as.
    let me = Path::new("/proc/self").metadata().map(|own| own.uid()).ok();
    if me.is_some_and(|me| me != 0 && me != data.uid()) {
        let mend = format!("run Till as the file's owner, or: chown $(id -u) {name}");
        return Err((format!("{name} belongs to another user"), mend));
    }
    let rights = data.mode() & 0o777;
    if rights & 0o077 != 0 {
        let found = format!("{name} can be read by others (mode {rights:04o})");
        return Err((found, format!("chmod 600 {name}")));
    }
    Ok(())
}

pub(super) fn database_file(report: &mut Report, config: &Config) {
    const NAME: &str = "files";
    let Some(database) = sqlite_path(&config.database.url) else {
        return;
    };
    let folder = folder_of(&database);
    let shown = folder.display();
    if !folder.is_dir() {
        let found = format!("there is no folder {shown}");
        report.fail(NAME, found, format!("mkdir -p {shown}"));
        return;
    }
    if writable(&folder) == Some(false) {
        let mend = "SQLite keeps its log beside the database: give the user Till runs as the right to write there";
        report.fail(NAME, format!("the folder {shown} cannot be written"), mend);
        return;
    }
    let name = database.display();
    // Opening for writing changes nothing.
    let opened = std::fs::OpenOptions::new().write(true).open(&database);
    match opened {
        Ok(_) => match private(&database) {
            Err((found, mend)) => report.warn(NAME, found, mend),
            Ok(()) => report.ok(NAME, format!("{name} and its folder can be written")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.ok(NAME, format!("the folder {shown} can be written"));
        }
        Err(error) => report.fail(
            NAME,
            format!("{name} cannot be written: {error}"),
            format!("chown $(id -u) {name} && chmod u+rw {name}"),
        ),
    }
}

pub(super) fn disk(report: &mut Report, config: &Config) {
    let Some(database) = sqlite_path(&config.database.url) else {
        return;
    };
    let Some(free_kib) = free_kib(&folder_of(&database)) else {
        return;
    };
    let found = format!("{} MiB free", free_kib / 1024);
    if free_kib < LITTLE_ROOM_KIB {
        let mend =
            "make room, or move the database: when the disk is full, orders are refused with 503";
        report.warn("disk", found, mend);
    } else {
        report.ok("disk", found);
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// As the system judges it, mounts and access lists included; none where there is no `test`.
fn writable(folder: &Path) -> Option<bool> {
    let asked = Command::new("test").arg("-w").arg(folder).status();
    asked.ok().map(|status| status.success())
}

/// The standard library cannot ask; none where there is no `df`.
fn free_kib(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().last()?.split_whitespace().nth(3)?.parse().ok()
}
