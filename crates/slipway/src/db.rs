//! `slipway db`: the database that holds the record.
//!
//! Both commands open databases as the user that owns the record, so that a file they make belongs to that user.

use std::io;

use clap::{Args, Subcommand};
use store::seal::SealKey;
use store::{Database, Store};
use vocabulary::Secret;

use crate::layout::Layout;
use crate::printer;
use crate::settings::{Mistakes, Place, secret};
use crate::supervisor::of_install;
use crate::users::Users;

const COPY: &str = "Stop control first (Ctrl-C at `slipway up`; apps go on): what is written to FROM afterwards is not \
                    in TO.\nThen start again with --database-url TO. A URL given by a flag is seen by others on this \
                    machine while\nthe command runs; SLIPWAY_DB_FROM and SLIPWAY_DB_TO are not.";

/// What can be done to the database.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Bring the schema up to date, as `slipway up` does; while control is stopped
    Migrate(Place),
    /// Copy the record into an empty database, whole or not at all
    #[command(after_help = COPY)]
    Copy(Copy),
}

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// The database to copy, as postgres://USER:PASSWORD@HOST/NAME or sqlite:PATH
    #[arg(long, env = "SLIPWAY_DB_FROM", hide_env_values = true, value_name = "URL", value_parser = secret)]
    from: Secret,
    /// The database to copy into, which holds nothing
    #[arg(long, env = "SLIPWAY_DB_TO", hide_env_values = true, value_name = "URL", value_parser = secret)]
    to: Secret,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] Mistakes),
    /// A URL.
    #[error("{0} cannot be used")]
    Url(&'static str, #[source] store::BadDatabase),
    /// The user.
    #[error("could not act as the user that owns the record")]
    User(#[source] io::Error),
    /// The data folder.
    #[error("could not find the database of this install")]
    Install(#[source] io::Error),
    /// The store.
    #[error("could not {doing} ({database})")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Where.
        database: String,
        source: store::Error,
    },
}

/// Runs the command.
pub(crate) fn run(command: DbCommand) -> Result<(), Error> {
    crate::block_on(async move {
        match command {
            DbCommand::Migrate(place) => migrate(&place).await,
            DbCommand::Copy(Copy { from, to }) => copy(&from, &to).await,
        }
    })
}

async fn migrate(place: &Place) -> Result<(), Error> {
    let (data, named) = place.settle()?;
    let missing = || io::Error::new(io::ErrorKind::NotFound, "nothing was ever up there; name it by --database-url");
    let database = match (named, Layout::open(&data).map_err(Error::Install)?) {
        (Some(database), _) => database,
        (None, Some(layout)) => of_install(None, &layout).map_err(Error::Install)?,
        (None, None) => return Err(Error::Install(missing())),
    };
    as_the_owner()?;
    let doing = |source| Error::Store { doing: "bring the schema up to date", database: database.to_string(), source };
    // Nothing is sealed or opened on the way: any key will do.
    Store::open_at(&database, SealKey::generate()).await.map_err(doing)?;
    printer::say(format!("the schema is up to date ({database})"));
    Ok(())
}

async fn copy(from: &Secret, to: &Secret) -> Result<(), Error> {
    let from: Database = from.reveal().parse().map_err(|error| Error::Url("--from", error))?;
    let to: Database = to.reveal().parse().map_err(|error| Error::Url("--to", error))?;
    as_the_owner()?;
    let database = format!("{from}, to {to}");
    let copied = store::copy(&from, &to).await;
    let copied = copied.map_err(|source| Error::Store { doing: "copy the record", database, source })?;
    for table in &copied {
        printer::say(format!("{:8}  {}", table.rows, table.table));
    }
    let rows: i64 = copied.iter().map(|table| table.rows).sum();
    printer::say(format!("{rows} rows of {} tables are in {to}", copied.len()));
    Ok(())
}

fn as_the_owner() -> Result<(), Error> {
    Users::find_control().and_then(crate::users::User::become_it).map_err(Error::User)
}
