//! The `slipway` command: the one place where everything meets.
//!
//! Knows settings, wiring and printing; every subcommand is a few lines that call a room or a role.

mod accounts;
mod ca;
mod connect;
mod db;
mod doctor;
mod durable;
mod env;
mod fingerprint;
mod layout;
mod printer;
mod roles;
mod settings;
mod stack;
mod supervisor;
mod upgrade;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Written;

/// A self-hosted platform for apps pushed by git, spoken to with the heroku command.
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Start with `slipway up`, then, in another terminal: eval \"$(slipway env)\"")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the platform in the foreground; Ctrl-C leaves apps serving, `slipway up` takes them over again
    Up(Box<Written>),
    /// Stop the platform and every app it runs
    Down(Box<Written>),
    /// Print the exports that make heroku, git, curl and node talk to this platform
    #[command(after_help = "Use it so: eval \"$(slipway env)\"")]
    Env(Box<Written>),
    /// Bring a platform on another machine to this one's loopback, where heroku, git and curl can talk to it
    Connect(Box<connect::Connect>),
    /// Look whether this machine can run the platform, and say what to mend or mend it
    #[command(after_help = doctor::TAUGHT)]
    Doctor(Box<doctor::Doctor>),
    /// Have the running platform become this program, or another one, without losing a request; undone if it fails
    Upgrade(upgrade::Asked),
    /// Asked of a program before the platform becomes it
    #[command(hide = true)]
    UpgradeCheck(Box<Written>),
    /// Watches over a program that takes the platform over; started by the one before
    #[command(hide = true)]
    UpgradeGuard(Box<Written>),
    /// Who may sign in: add, passwd, token, list, disable-2fa, remove; as root, while the platform runs or not
    #[command(subcommand)]
    Users(accounts::UsersCommand),
    /// The database that holds the record: migrate, copy
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Stack images, which dynos and builds run on: build, import, list, remove
    #[command(subcommand)]
    Stack(stack::StackCommand),
    /// One of the platform's processes; started by `slipway up`
    #[command(hide = true)]
    Role {
        /// Which
        name: String,
        /// The install it serves, for whoever reads a list of processes
        #[arg(value_name = "FILE")]
        settings: PathBuf,
    },
    /// Run by git during a push
    #[command(hide = true)]
    GitHook { name: String },
    /// Run by the engine to read hostile trees
    #[command(hide = true)]
    Packer {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run by the engine to read dynos' name queries
    #[command(hide = true)]
    Forwarder,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Role { name, .. } => told(roles::run(&name)),
        Command::GitHook { .. } => git::pre_receive_main(),
        Command::Packer { args } => {
            local::images::packer_main(std::io::stdin().lock(), std::io::stdout().lock(), &args)
        }
        Command::Forwarder => local::network::forwarder_main(),
        Command::Up(written) => match supervisor::handed() {
            Ok(Some(handover)) => told(block_on(supervisor::go_on(handover))),
            Ok(None) => up(*written),
            Err(error) => told(Err(supervisor::doing("read what was handed over")(error))),
        },
        Command::Down(written) => settled(*written, |settings| told(block_on(supervisor::down(settings)))),
        Command::Env(written) => settled(*written, |settings| told(env::print(settings))),
        Command::Connect(asked) => told(block_on(connect::run(*asked))),
        Command::Doctor(doctor) => doctor::run(*doctor),
        Command::Upgrade(asked) => told(upgrade::run(&asked)),
        Command::UpgradeCheck(written) => settled(*written, |settings| told(supervisor::check(settings))),
        Command::UpgradeGuard(_) => {
            roles::log_to_stderr("info");
            told(block_on(supervisor::watch_over()))
        }
        Command::Users(command) => told(accounts::run(command)),
        Command::Db(command) => told(db::run(command)),
        Command::Stack(command) => stack::run(command),
    }
}

fn up(written: Written) -> ExitCode {
    settled(written, |settings| match stack::ensure(settings) {
        Ok(()) => told(block_on(supervisor::up(settings))),
        refused => told(refused),
    })
}

/// Runs a command with settled settings, or says every mistake in them.
fn settled(written: Written, run: impl FnOnce(&settings::Settings) -> ExitCode) -> ExitCode {
    match written.settle() {
        Ok(settings) => {
            roles::log_to_stderr(&settings.log);
            run(&settings)
        }
        Err(mistakes) => {
            printer::warn(mistakes);
            ExitCode::from(2)
        }
    }
}

fn told<E: std::error::Error + 'static>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer::fail(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::expect_used, reason = "a machine that cannot start a runtime cannot run the platform")]
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts").block_on(future)
}
