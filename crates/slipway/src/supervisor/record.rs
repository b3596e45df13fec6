//! Which database holds the record of an install.
//!
//! ```text
//! /run/slipway-ID/database   its URL (0600 root), for control and for commands beside it
//! DATA/record                where it is, without a password, as the last `slipway up` was told
//! ```
//!
//! The second is there so that a platform that was once started on PostgreSQL never begins anew on an empty file, because
//! somebody forgot the URL.

use std::fs;
use std::io;

use store::Database;
use vocabulary::Secret;

use super::{Error, doing};
use crate::durable;
use crate::layout::Layout;
use crate::settings::Settings;

/// The name of the file under `/run`, and of the descriptor that control gets.
pub(crate) const DATABASE: &str = "database";
/// The name of the file in the data folder.
const RECORD: &str = "record";

/// The URL of the database to use; remembers where it is.
pub(super) fn database(settings: &Settings, layout: &Layout) -> Result<Secret, Error> {
    let file = layout.store();
    let url = settings.database_url.clone().unwrap_or_else(|| default(layout));
    let place = place(&url).map_err(doing("understand the database's URL"))?;
    let before = match fs::read_to_string(layout.at(RECORD)) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(doing("read where the record is")(error)),
    };
    if settings.database_url.is_none() && before.as_ref().is_some_and(|before| *before != place) {
        return Err(Error::Elsewhere(before.unwrap_or_default(), file.display().to_string()));
    }
    if before.as_ref() != Some(&place) {
        let text = format!("{place}\n");
        durable::write(&layout.at(RECORD), text.as_bytes(), 0o644).map_err(doing("write down where the record is"))?;
    }
    Ok(url)
}

fn place(url: &Secret) -> io::Result<String> {
    Ok(url.reveal().parse::<Database>().map_err(io::Error::other)?.to_string())
}

/// The database of an install, for a command beside it: what is named, or what the platform was started with, or the
/// file in the data folder.
pub(crate) fn of_install(named: Option<Database>, layout: &Layout) -> io::Result<Database> {
    if let Some(database) = named {
        return Ok(database);
    }
    match fs::read_to_string(layout.in_run(DATABASE)) {
        Ok(url) => url.parse().map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => elsewhere(layout),
        Err(error) => Err(error),
    }
}

/// Whether the settings still name the database that the platform runs on. Written otherwise, it is another one to us:
/// what is handed to control is what it was started with.
pub(super) fn is_the_running_one(settings: &Settings, layout: &Layout) -> io::Result<bool> {
    Ok(is_named(settings, layout, &fs::read_to_string(layout.in_run(DATABASE))?))
}

fn is_named(settings: &Settings, layout: &Layout, url: &str) -> bool {
    settings.database_url.clone().unwrap_or_else(|| default(layout)).reveal() == url
}

fn default(layout: &Layout) -> Secret {
    Secret::new(format!("sqlite:{}", layout.store().display()))
}

fn elsewhere(layout: &Layout) -> io::Result<Database> {
    let file = Database::from(layout.store().as_path());
    match fs::read_to_string(layout.at(RECORD)) {
        Ok(place) if place.trim() != file.to_string() => {
            let told = format!("the record is in another database ({}): name it by --database-url", place.trim());
            Err(io::Error::other(told))
        }
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Written;

    fn settings(url: Option<&str>) -> Settings {
        Settings { database_url: url.map(Secret::new), ..Written::default().settle().unwrap() }
    }

    #[test]
    fn a_database_named_otherwise_than_the_running_one_is_noticed() {
        let data = tempfile::tempdir().unwrap();
        let layout = Layout::create(data.path()).unwrap();
        let default = format!("sqlite:{}", layout.store().display());
        let url = "postgres://ada:canary@db.example.com/x";
        let is_it = |named, running: &str| is_named(&settings(named), &layout, running);
        assert!(is_it(None, &default) && is_it(Some(&default), &default) && is_it(Some(url), url));
        assert!(!is_it(Some(url), &default) && !is_it(None, url));
        assert!(!is_it(Some("postgres://ada:other@db.example.com/x"), url));
    }

    #[test]
    fn an_install_whose_record_is_elsewhere_never_begins_anew_on_a_file() {
        let data = tempfile::tempdir().unwrap();
        let layout = Layout::create(data.path()).unwrap();
        database(&settings(None), &layout).unwrap();
        database(&settings(None), &layout).unwrap();
        database(&settings(Some("postgres://ada:canary@db.example.com/x")), &layout).unwrap();
        let refused = database(&settings(None), &layout).unwrap_err();
        assert!(matches!(refused, Error::Elsewhere(..)), "{refused}");
        assert!(
            refused.to_string().contains("database x on db.example.com") && !refused.to_string().contains("canary")
        );
        assert!(of_install(None, &layout).is_err());
        let back = format!("sqlite:{}", layout.store().display());
        database(&settings(Some(&back)), &layout).unwrap();
        database(&settings(None), &layout).unwrap();
        assert!(of_install(None, &layout).is_ok());
    }
}
