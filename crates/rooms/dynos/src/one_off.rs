//! Starting a dyno for one command: `heroku run`.

use std::collections::BTreeSet;
use std::time::Duration;

use store::apps::{App, ConfigVars};
use store::dynos::{Attached, Dyno, OneOff};
use vocabulary::{DynoId, DynoName, DynoSize, DynoState, ProcessType, ProcessTypes, Secret, Timestamp};

use crate::{Dynos, Error, lines};

/// The most one-off dynos of an app at a time (Heroku Dev Center, "Limits": 50 for apps on the standard sizes).
const MOST: usize = 50;
/// The longest any runs, and how long it runs if nobody says (Platform API Reference, `dyno.time_to_live`).
const LONGEST: Duration = Duration::from_hours(24);
/// The longest command in bytes: an argument of a program may not be longer (execve(2)).
const LONGEST_COMMAND: usize = 128 * 1024 - 1;
/// Numbers of one-off dynos have four digits.
const NUMBERS: (u32, u32) = (1000, 9000);
/// What `heroku run --exit-code` adds to the command. The platform tells the status itself, so that a command that
/// ends its shell (`exit 3`) tells it as well.
const TELL_STATUS: &str = "; echo \"\u{FFFF} heroku-command-exit-status: $?\"";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// A shell's command; its first word may be a process type, which stands for that type's command.
    pub command: String,
    /// What it finds in its environment beside the config vars, and before them.
    pub env: ConfigVars,
    /// Its streams, if somebody attaches to them.
    pub attached: Option<Attached>,
    /// Of which size; Standard-1X if not given.
    pub size: Option<DynoSize>,
    /// What it is called before the dot; `run` if not given.
    pub process_type: Option<ProcessType>,
    /// How many seconds it may run; a day if not given.
    pub time_to_live: Option<u64>,
}

/// A command taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) text: String,
    pub(crate) tells_status: bool,
}

impl Dynos {
    /// Records a one-off dyno, which starts at once; for an attached one, the secret by which to attach.
    pub async fn run_one_off(&self, app: &App, wish: Wish, email: &str) -> Result<(Dyno, Option<Secret>), Error> {
        let no_code = || Error::Invalid("There is no code to run: push some first.".to_owned());
        let release = store::releases::current(&self.store, app.id).await?.ok_or_else(no_code)?;
        let slug = store::slugs::get(&self.store, release.slug_id.ok_or_else(no_code)?).await?.ok_or_else(no_code)?;
        let command = command(&wish.command, &slug.process_types)?;
        let one_off = OneOff {
            attached: wish.attached,
            tells_status: command.tells_status,
            time_to_live: time_to_live(wish.time_to_live)?,
        };
        let (id, now) = (DynoId::new(), Timestamp::now());
        let mut write = self.write_by(email).await?;
        let others = store::dynos::list_in(&mut write, app.id).await?;
        let dyno = Dyno {
            id,
            app_id: app.id,
            name: name(id, wish.process_type, &others)?,
            release_id: release.id,
            size: wish.size.unwrap_or(DynoSize::Standard1X),
            command: command.text,
            state: DynoState::Starting,
            address: None,
            restart_asked: false,
            one_off: Some(one_off),
            created_at: now,
            updated_at: now,
        };
        store::dynos::create_one_off(&mut write, &dyno, &wish.env).await?;
        write.commit().await?;
        self.say_api(app.id, lines::starting_by(&dyno.command, email));
        self.wakers.dynos.wake();
        let secret = wish.attached.map(|attached| self.meetings.one_off(id, attached));
        Ok((dyno, secret))
    }
}

/// Takes a command apart.
pub(crate) fn command(text: &str, types: &ProcessTypes) -> Result<Command, Error> {
    let told = text.trim_end().strip_suffix(TELL_STATUS);
    let text = told.unwrap_or(text).trim();
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let own = first.parse().ok().and_then(|process_type| types.command(&process_type));
    let text = match own {
        Some(own) if rest.is_empty() => own.to_owned(),
        Some(own) => format!("{own} {rest}"),
        None => text.to_owned(),
    };
    if text.is_empty() || text.len() > LONGEST_COMMAND || text.contains('\0') {
        return Err(Error::Invalid(format!("A command has 1 to {LONGEST_COMMAND} bytes and none of them is zero.")));
    }
    Ok(Command { text, tells_status: told.is_some() })
}

fn time_to_live(seconds: Option<u64>) -> Result<Duration, Error> {
    match seconds.map(Duration::from_secs) {
        None => Ok(LONGEST),
        Some(time) if (Duration::from_secs(1)..=LONGEST).contains(&time) => Ok(time),
        Some(_) => Err(Error::Invalid(format!("The time to live is 1 to {} seconds.", LONGEST.as_secs()))),
    }
}

/// A name nobody of the app has, by the random part of the id.
fn name(id: DynoId, process_type: Option<ProcessType>, others: &[Dyno]) -> Result<DynoName, Error> {
    if others.iter().filter(|dyno| dyno.one_off.is_some()).count() >= MOST {
        return Err(Error::Invalid(format!("Cannot run more than {MOST} one-off dynos.")));
    }
    let process_type = process_type.unwrap_or_else(ProcessType::run);
    let taken: BTreeSet<&DynoName> = others.iter().map(|dyno| &dyno.name).collect();
    let random = u32::try_from(id.uuid().as_u128() % u128::from(NUMBERS.1)).unwrap_or_default();
    let names = (0..NUMBERS.1).map(|step| NUMBERS.0 + (random + step) % NUMBERS.1);
    let mut names = names.map(|number| DynoName::new(process_type.clone(), number));
    names.find(|name| !taken.contains(name)).ok_or_else(|| Error::Invalid("Every number is taken.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> ProcessTypes {
        ProcessTypes::from_procfile(b"worker: node worker.js\nweb: node web.js").unwrap()
    }

    fn text(text: &str) -> String {
        command(text, &types()).unwrap().text
    }

    #[test]
    fn a_process_type_stands_for_its_command() {
        assert_eq!(text("worker"), "node worker.js");
        assert_eq!(text("worker --once  a"), "node worker.js --once  a");
        assert_eq!(text("workers"), "workers");
        assert_eq!(text("echo worker"), "echo worker");
    }

    #[test]
    fn the_commands_own_way_to_tell_the_status_is_ours_to_do() {
        let asked = format!("exit 3 {TELL_STATUS}");
        let expected = Command { text: "exit 3".to_owned(), tells_status: true };
        assert_eq!(command(&asked, &types()).unwrap(), expected);
        assert_eq!(text(&format!("worker {TELL_STATUS}")), "node worker.js");
        assert!(!command("exit 3", &types()).unwrap().tells_status);
    }

    #[test]
    fn a_command_has_bounds() {
        for bad in ["", "  ", "a\0b", &"x".repeat(LONGEST_COMMAND + 1)] {
            assert!(command(bad, &types()).is_err());
        }
    }

    #[test]
    fn a_time_to_live_is_at_most_a_day() {
        assert_eq!(time_to_live(None).unwrap().as_secs(), 86_400);
        assert_eq!(time_to_live(Some(86_400)).unwrap().as_secs(), 86_400);
        assert!(time_to_live(Some(0)).is_err());
        assert!(time_to_live(Some(86_401)).is_err());
    }
}
