//! `slipway users`: who may sign in.
//!
//! The command opens the store itself, as the user that owns it, beside control: the two write in turn, and
//! control keeps nothing of accounts in memory, so that what is done here holds with the next request. It works as well
//! while the platform is down.

use std::io::{self, Read as _};

use api::users::{self, UserError, Wish};
use clap::{Args, Subcommand};
use store::Store;
use store::seal::SealKey;
use vocabulary::Secret;

use crate::layout::Layout;
use crate::printer;
use crate::settings::{Mistakes, Place};
use crate::supervisor::of_install;
use crate::users::Users;

const PASSWORDS: &str = "Without --password-stdin a password is made and printed, once. To choose it:\n  \
                         read -rs P && printf %s \"$P\" | slipway users add ada@example.com --password-stdin";
const TOKENS: &str = "The token is all that is printed, so that it can be put where it is used:\n  \
                      export HEROKU_API_KEY=\"$(slipway users token ada@example.com --expires-in 86400)\"\n\n\
                      Scopes: global (all), identity (read the account), read and write (all but config vars and\n\
                      authorizations), read-protected and write-protected (config vars, too).";

/// What can be done to accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Let somebody sign in
    #[command(after_help = PASSWORDS)]
    Add(Passworded),
    /// Give somebody another password; their browser and `heroku login` sessions end, their tokens stay good
    #[command(after_help = PASSWORDS)]
    Passwd(Passworded),
    /// Make a token for somebody and print it
    #[command(after_help = TOKENS)]
    Token(Token),
    /// List everybody who can sign in
    List(Everybody),
    /// Turn off the second factor of somebody who lost theirs
    #[command(name = "disable-2fa")]
    DisableTwoFactor(Somebody),
    /// Remove somebody who owns no app; their sessions and tokens end at once
    Remove(Somebody),
}

/// An account.
#[derive(Debug, Args)]
pub(crate) struct Somebody {
    /// Whose account
    #[arg(value_name = "EMAIL")]
    email: String,
    #[command(flatten)]
    place: Place,
}

/// An account that gets a password.
#[derive(Debug, Args)]
pub(crate) struct Passworded {
    #[command(flatten)]
    somebody: Somebody,
    /// Read the password from standard input, to its end or the first line's
    #[arg(long)]
    password_stdin: bool,
}

/// A token.
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(flatten)]
    somebody: Somebody,
    /// What it is for, as `heroku authorizations` lists it
    #[arg(long, value_name = "TEXT", default_value = "made by slipway users token")]
    description: String,
    /// Let it end after so long [default: never]
    #[arg(long, value_name = "SECONDS")]
    expires_in: Option<u32>,
    /// What it may do; may be given several times
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', default_value = "global")]
    scope: Vec<String>,
}

/// All accounts.
#[derive(Debug, Args)]
pub(crate) struct Everybody {
    #[command(flatten)]
    place: Place,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] Mistakes),
    /// The data folder.
    #[error("could not open the platform's data folder {place}")]
    Folder {
        /// The folder.
        place: String,
        source: io::Error,
    },
    /// The store.
    #[error("could not open the store")]
    Store(#[from] store::Error),
    /// The password.
    #[error("could not read the password from standard input")]
    Password(#[source] io::Error),
    /// The accounts.
    #[error(transparent)]
    User(#[from] UserError),
}

/// Runs the command.
pub(crate) fn run(command: UsersCommand) -> Result<(), Error> {
    crate::block_on(async move {
        match command {
            UsersCommand::Add(add) => {
                let store = open(&add.somebody.place).await?;
                let password = users::add(&store, &add.somebody.email, password(&add)?).await?;
                told_password(&add, &password, "can sign in now");
            }
            UsersCommand::Passwd(passwd) => {
                let store = open(&passwd.somebody.place).await?;
                let password = users::set_password(&store, &passwd.somebody.email, password(&passwd)?).await?;
                told_password(&passwd, &password, "has another password now");
            }
            UsersCommand::Token(token) => {
                let store = open(&token.somebody.place).await?;
                let wish = Wish { description: token.description, expires_in: token.expires_in, scope: token.scope };
                printer::say(users::token(&store, &token.somebody.email, &wish).await?.reveal());
            }
            UsersCommand::List(all) => listed(&users::list(&open(&all.place).await?).await?),
            UsersCommand::DisableTwoFactor(Somebody { email, place }) => {
                users::disable_two_factor(&open(&place).await?, &email).await?;
                printer::say(format!("{email} signs in with the password alone now"));
            }
            UsersCommand::Remove(Somebody { email, place }) => {
                users::remove(&open(&place).await?, &email).await?;
                printer::say(format!("{email} is removed"));
            }
        }
        Ok(())
    })
}

/// Opens the store as the user that owns it, so that whatever SQLite makes beside it belongs to that user. The database
/// of the running platform is known to root alone, so that it is looked up before.
pub(crate) async fn open(place: &Place) -> Result<Store, Error> {
    let (data, named) = place.settle()?;
    let folder = |source| Error::Folder { place: data.display().to_string(), source };
    let missing = || io::Error::new(io::ErrorKind::NotFound, "nothing was ever up there; run `slipway up` first");
    let layout = Layout::open(&data).and_then(|layout| layout.ok_or_else(missing)).map_err(folder)?;
    let database = of_install(named, &layout).map_err(folder)?;
    let owner = Users::find_control().map_err(folder)?;
    owner.become_it().map_err(folder)?;
    let key = SealKey::load(&layout.at("keys/seal.key")).map_err(folder)?;
    Ok(Store::join_at(&database, key).await?)
}

fn password(asked: &Passworded) -> Result<Option<Secret>, Error> {
    if !asked.password_stdin {
        return Ok(None);
    }
    let mut text = String::new();
    // More than any password may have; what is longer is refused as too long.
    io::stdin().lock().take(4096).read_to_string(&mut text).map_err(Error::Password)?;
    Ok(Some(Secret::new(text.lines().next().unwrap_or_default())))
}

fn told_password(asked: &Passworded, password: &Secret, what: &str) {
    printer::say(format!("{} {what}", asked.somebody.email));
    if !asked.password_stdin {
        printer::say(format!("password: {}", password.reveal()));
    }
}

fn listed(all: &[users::Listed]) {
    let widest = all.iter().map(|one| one.account.email.len()).max().unwrap_or_default().max(5);
    printer::say(format!("{:widest$}  {:4}  {:10}  {:20}  NAME", "EMAIL", "APPS", "TWO-FACTOR", "LAST SIGN-IN"));
    for users::Listed { account, apps } in all {
        let factor = if account.second_factor { "on" } else { "off" };
        let login = account.last_login.map_or_else(|| "never".to_owned(), |moment| moment.to_string());
        let name = account.name.as_deref().unwrap_or_default();
        printer::say(format!("{:widest$}  {apps:4}  {factor:10}  {login:20}  {name}", account.email).trim_end());
    }
}
