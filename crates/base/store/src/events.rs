//! Events: what happened to an app, for its webhooks. An outbox: each is written by the function that changes the row,
//! in the same write, so that there is no change without its event and no event without its change.
//!
//! An event holds the row as it was at that moment and the names of what it refers to ([`Snapshot`]), not a text of the
//! API: this crate knows none. Whoever tells of it makes the one of the other. Nothing is written for what no webhook
//! of the app wants to know.

use serde::{Deserialize, Serialize};
use vocabulary::{
    AccountId, AppId, BuildId, CollaboratorId, DomainId, DynoId, DynoState, EventAction, FormationId, ReleaseId,
    TeamId, TeamName, TeamRole, Timestamp, WebhookEventId, WebhookInclude,
};

use crate::apps::App;
use crate::builds::Build;
use crate::collaborators::Collaborator;
use crate::domains::Domain;
use crate::dynos::Dyno;
use crate::formation::Formation;
use crate::part::{Between, Part};
use crate::releases::Release;
use crate::row::{json, parsed, time, to_json};
use crate::sql::{self, Row};
use crate::{Error, Store, Write, deliveries, facts, webhooks};

/// The most bytes of a text that the user chose freely, such as a command; with 50 buildpacks an event has some 64 KiB
/// at most, before and after together 128.
const MOST_TEXT: usize = 4096;
/// The most bytes of one buildpack's name or address.
const MOST_ADDRESS: usize = 1024;

/// A thing as it was at a moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its app.
    pub app: App,
    /// Who has the app, or brought it into its team.
    pub owner: Person,
    /// The team that has the app.
    pub team: Option<(TeamId, TeamName)>,
    /// The thing.
    pub thing: Thing,
}

/// Somebody by id and email.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their account.
    pub id: AccountId,
    /// Their email at that moment.
    pub email: String,
}

/// The thing itself, with what is shown of what it refers to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Thing {
    /// The app.
    App,
    /// A build, and who asked for it.
    Build(Build, Person),
    /// A collaborator, who that is, and what they are in the app's team.
    Collaborator(Collaborator, Person, Option<TeamRole>),
    /// A custom domain.
    Domain(Domain),
    /// A dyno, and the number of its release.
    Dyno(Dyno, i64),
    /// A process type's share, and its command.
    Formation(Formation, String),
    /// A release, who made it, and whether it is the current one.
    Release(Release, Person, bool),
}

/// What an event can be about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Watched {
    App(AppId),
    Build(BuildId),
    Collaborator(CollaboratorId),
    Domain(DomainId),
    Dyno(DynoId),
    Formation(FormationId),
    Release(ReleaseId),
}

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id.
    pub id: WebhookEventId,
    /// Grows with age.
    pub sequence: i64,
    /// Of which app; it may be gone.
    pub app_id: AppId,
    /// As what webhooks ask for it.
    pub include: WebhookInclude,
    /// What happened.
    pub action: EventAction,
    /// Who did it; for what the platform does by itself, who has the app.
    pub actor: Person,
    /// The thing, after it.
    pub snapshot: Snapshot,
    /// The thing before an update.
    pub previous: Option<Snapshot>,
    /// When.
    pub created_at: Timestamp,
}

fn event(row: &Row) -> Result<Event, Error> {
    let previous: Option<String> = row.try_get("previous")?;
    Ok(Event {
        id: parsed(row, "id")?,
        sequence: row.try_get("sequence")?,
        app_id: parsed(row, "app_id")?,
        include: parsed(row, "include")?,
        action: parsed(row, "action")?,
        actor: Person { id: parsed(row, "actor_id")?, email: row.try_get("actor_email")? },
        snapshot: json(row, "snapshot")?,
        previous: previous.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| Error::Corrupt("event"))?,
        created_at: time(row, "created_at")?,
    })
}

/// The event with this id.
pub async fn get(store: &Store, id: WebhookEventId) -> Result<Option<Event>, Error> {
    let row = sql::query("SELECT * FROM webhook_events WHERE id = $1").bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(event).transpose()
}

/// What is shown of an app: what a webhook of it was told of or will be.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT * FROM webhook_events AS events WHERE app_id = $1 AND EXISTS (SELECT 1 FROM webhook_deliveries ",
            "JOIN webhooks ON webhooks.id = webhook_id WHERE event_id = events.id AND removed_at IS NULL) ",
            $rest
        )
    };
}

/// A part of the events of an app that a webhook of it was told of or will be.
pub async fn list(store: &Store, app: AppId, part: &Part) -> Result<Vec<Event>, Error> {
    let rows = match (&part.between, part.descending) {
        (Between::Sequence(..), false) => select!("AND sequence BETWEEN $2 AND $3 ORDER BY sequence LIMIT $4"),
        (Between::Sequence(..), true) => select!("AND sequence BETWEEN $2 AND $3 ORDER BY sequence DESC LIMIT $4"),
        (Between::Id(..), false) => select!("AND id BETWEEN $2 AND $3 ORDER BY id LIMIT $4"),
        (Between::Id(..), true) => select!("AND id BETWEEN $2 AND $3 ORDER BY id DESC LIMIT $4"),
    };
    let rows = part.bind(sql::query(rows).bind(app.to_string())).fetch_all(&store.readers).await?;
    rows.iter().map(event).collect()
}

/// The event with this id, if [`list`] shows it for this app.
pub async fn of_app(store: &Store, app: AppId, id: WebhookEventId) -> Result<Option<Event>, Error> {
    let row = sql::query(select!("AND id = $2")).bind(app.to_string()).bind(id.to_string());
    row.fetch_optional(&store.readers).await?.as_ref().map(event).transpose()
}

impl Snapshot {
    /// Shortens texts of any length: an event is kept once and told to everybody who wants to know, for days.
    fn shortened(mut self) -> Self {
        let app = &mut self.app;
        app.buildpack_provided_description.iter_mut().for_each(|text| shorten(text, MOST_TEXT));
        match &mut self.thing {
            Thing::App | Thing::Collaborator(..) | Thing::Domain(_) => {}
            Thing::Build(build, _) => {
                let texts = [&mut build.source_version, &mut build.source_version_description, &mut build.failure];
                texts.into_iter().flatten().for_each(|text| shorten(text, MOST_TEXT));
                build.buildpacks.iter_mut().for_each(|buildpack| shorten(buildpack, MOST_ADDRESS));
            }
            Thing::Dyno(dyno, _) => shorten(&mut dyno.command, MOST_TEXT),
            Thing::Formation(_, command) => shorten(command, MOST_TEXT),
            Thing::Release(release, ..) => shorten(&mut release.description, MOST_TEXT),
        }
        self
    }
}

/// Cuts a text to `most` bytes, and says so.
fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        // What is said of it has fewer bytes than that.
        let (kept, rest) = text.split_at(text.floor_char_boundary(most - 64));
        *text = format!("{kept}… ({} more bytes, not told here)", rest.len());
    }
}

impl Watched {
    fn include(self) -> WebhookInclude {
        match self {
            Self::App(_) => WebhookInclude::App,
            Self::Build(_) => WebhookInclude::Build,
            Self::Collaborator(_) => WebhookInclude::Collaborator,
            Self::Domain(_) => WebhookInclude::Domain,
            Self::Dyno(_) => WebhookInclude::DynoState,
            Self::Formation(_) => WebhookInclude::Formation,
            Self::Release(_) => WebhookInclude::Release,
        }
    }

    fn id(self) -> String {
        match self {
            Self::App(id) => id.to_string(),
            Self::Build(id) => id.to_string(),
            Self::Collaborator(id) => id.to_string(),
            Self::Domain(id) => id.to_string(),
            Self::Dyno(id) => id.to_string(),
            Self::Formation(id) => id.to_string(),
            Self::Release(id) => id.to_string(),
        }
    }
}

/// A thing as it is now; nothing if no webhook wants to know of it, or it is not there.
pub(crate) async fn look(write: &mut Write, app: AppId, what: Watched) -> Result<Option<Snapshot>, Error> {
    if !is_wanted(write, app, what).await? {
        return Ok(None);
    }
    let Some(app) = crate::apps::get_in(write, app).await? else { return Ok(None) };
    let Some(thing) = thing(write, &app, what).await? else { return Ok(None) };
    let owner = person(write, app.owner_id).await?;
    let team = match app.team_id {
        Some(id) => crate::teams::get_in(write, id).await?.map(|team| (team.id, team.name)),
        None => None,
    };
    Ok(Some(Snapshot { app, owner, team, thing }.shortened()))
}

async fn is_wanted(write: &mut Write, app: AppId, what: Watched) -> Result<bool, Error> {
    let asked_for: &[WebhookInclude] = match what {
        Watched::Dyno(_) => &[WebhookInclude::Dyno, WebhookInclude::DynoState],
        _ => &[what.include()],
    };
    for include in asked_for {
        if !webhooks::wanting(write, app, *include).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn thing(write: &mut Write, app: &App, what: Watched) -> Result<Option<Thing>, Error> {
    Ok(match what {
        Watched::App(_) => Some(Thing::App),
        Watched::Build(id) => match crate::builds::get_in(write, id).await? {
            Some(build) => Some(Thing::Build(build.clone(), person(write, build.account_id).await?)),
            None => None,
        },
        Watched::Collaborator(id) => match crate::collaborators::get_in(write, id).await? {
            Some(one) => {
                let role = match app.team_id {
                    Some(team) => crate::team_members::role_in(write, team, one.account_id).await?,
                    None => None,
                };
                let who = person(write, one.account_id).await?;
                Some(Thing::Collaborator(one, who, role))
            }
            None => None,
        },
        Watched::Domain(id) => crate::domains::get_in(write, id).await?.map(Thing::Domain),
        Watched::Dyno(id) => match crate::dynos::get_in(write, id).await? {
            Some(dyno) => {
                let release = crate::releases::get_in(write, dyno.release_id).await?;
                Some(Thing::Dyno(dyno, release.map_or(0, |release| release.version.number())))
            }
            None => None,
        },
        Watched::Formation(id) => match crate::formation::get_in(write, id).await? {
            Some(entry) => {
                let types = crate::slugs::current_process_types_in(write, app.id).await?;
                let command = types.command(&entry.process_type).unwrap_or_default().to_owned();
                Some(Thing::Formation(entry, command))
            }
            None => None,
        },
        Watched::Release(id) => match crate::releases::get_in(write, id).await? {
            Some(release) => {
                let current = crate::releases::current_in(write, app.id).await?;
                let who = person(write, release.account_id).await?;
                Some(Thing::Release(release, who, current == Some(id)))
            }
            None => None,
        },
    })
}

async fn person(write: &mut Write, id: AccountId) -> Result<Person, Error> {
    let email: Option<String> = sql::query_scalar("SELECT email FROM accounts WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut *write.transaction)
        .await?;
    Ok(Person { id, email: email.unwrap_or_default() })
}

/// Tells that a thing was made.
pub(crate) async fn created(write: &mut Write, app: AppId, what: Watched) -> Result<(), Error> {
    let Some(snapshot) = look(write, app, what).await? else { return Ok(()) };
    record(write, what, what.include(), EventAction::Create, &snapshot, None).await
}

/// Tells that a thing changed that was like `before`.
pub(crate) async fn updated(write: &mut Write, what: Watched, before: Option<Snapshot>) -> Result<(), Error> {
    let Some(before) = before else { return Ok(()) };
    let Some(snapshot) = look(write, before.app.id, what).await? else { return Ok(()) };
    record(write, what, what.include(), EventAction::Update, &snapshot, Some(&before)).await
}

/// Tells that a thing is gone that was like `before`.
pub(crate) async fn destroyed(write: &mut Write, what: Watched, before: Option<Snapshot>) -> Result<(), Error> {
    let Some(before) = before else { return Ok(()) };
    record(write, what, what.include(), EventAction::Destroy, &before, None).await
}

/// Tells how a dyno stands: a new one, one that changed, or with `crashed` and `down` one that is gone (Heroku Dev
/// Center, "Webhook Dyno Events"). That one runs is told as a new dyno as well, to those who want to know of these.
pub(crate) async fn dyno(write: &mut Write, app: AppId, id: DynoId) -> Result<(), Error> {
    let what = Watched::Dyno(id);
    let Some(snapshot) = look(write, app, what).await? else { return Ok(()) };
    let Thing::Dyno(dyno, _) = &snapshot.thing else { return Ok(()) };
    let state = dyno.state;
    let action = match state {
        DynoState::Starting => EventAction::Create,
        DynoState::Up => EventAction::Update,
        DynoState::Crashed | DynoState::Down => EventAction::Destroy,
    };
    record(write, what, WebhookInclude::DynoState, action, &snapshot, None).await?;
    if state == DynoState::Up {
        record(write, what, WebhookInclude::Dyno, EventAction::Create, &snapshot, None).await?;
    }
    Ok(())
}

async fn record(
    write: &mut Write,
    what: Watched,
    include: WebhookInclude,
    action: EventAction,
    snapshot: &Snapshot,
    previous: Option<&Snapshot>,
) -> Result<(), Error> {
    let wanting = webhooks::wanting(write, snapshot.app.id, include).await?;
    if wanting.is_empty() {
        return Ok(());
    }
    let (id, thing) = (WebhookEventId::new(), what.id());
    let actor = actor(write, snapshot).await?;
    let sequence = facts::next(write, "webhook_event").await?;
    sql::query(
        "INSERT INTO webhook_events (sequence, id, app_id, include, action, thing_id, actor_id, actor_email, snapshot, \
         previous, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(i64::try_from(sequence).map_err(|_| Error::Corrupt("counter"))?)
    .bind(id.to_string())
    .bind(snapshot.app.id.to_string())
    .bind(include.as_str())
    .bind(action.as_str())
    .bind(&thing)
    .bind(actor.id.to_string())
    .bind(actor.email)
    .bind(to_json(snapshot, "snapshot")?)
    .bind(previous.map(|previous| to_json(previous, "snapshot")).transpose()?)
    .bind(Timestamp::now().micros())
    .execute(&mut *write.transaction)
    .await?;
    let mut queued = deliveries::waiting_of_owner(write, snapshot.app.id).await?;
    for webhook in wanting {
        if deliveries::add(write, webhook.id, id, &thing, queued).await? {
            queued += 1;
        } else {
            webhooks::count_dropped(write, webhook.id).await?;
        }
    }
    write.tells = true;
    Ok(())
}

/// Who did it: whom the write says, or who made the thing. What nobody asked for is its owner's.
async fn actor(write: &mut Write, snapshot: &Snapshot) -> Result<Person, Error> {
    if let Some(id) = write.by {
        return person(write, id).await;
    }
    Ok(match &snapshot.thing {
        Thing::Build(_, person) | Thing::Release(_, person, _) => person.clone(),
        _ => snapshot.owner.clone(),
    })
}
