//! `/apps/{app}/formation`.

use access::action::{self, ViewApp};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use dynos::{Quantity, Scale};
use serde::Deserialize;
use store::apps::App;
use store::formation::Formation;
use vocabulary::{DynoSize, ProcessType, ProcessTypes};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};
use crate::resources::apps::Identity;
use crate::resources::catalogue;

const SORTS: &[Sort<Formation>] =
    &[("id", |entry| Key::text(&entry.id)), ("type", |entry| Key::text(&entry.process_type))];

/// What `PATCH /apps/{app}/formation` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Batch {
    updates: Vec<One>,
}

/// One change of a batch.
#[derive(Debug, Deserialize)]
struct One {
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    change: Change,
}

/// What `PATCH /apps/{app}/formation/{type}` takes. The schema has `dyno_size`, many clients send `size`.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    quantity: Option<Amount>,
    size: Option<Identity>,
    dyno_size: Option<Identity>,
    docker_image: Option<serde_json::Value>,
}

/// `2`, `"2"`, `"+1"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Amount {
    Number(u32),
    Text(String),
}

/// `GET /apps/{app}/formation`: the process types of the current slug.
pub(crate) async fn list(own: Permitted<ViewApp>, State(state): State<Shared>, range: Range) -> Result<Response> {
    let commands = commands(&state, &own.app).await?;
    let mut entries = store::formation::list(&state.store, own.app.id).await?;
    entries.retain(|entry| commands.command(&entry.process_type).is_some());
    list::answer(&range, entries, SORTS, |entry| shape(entry, &own.app, &commands))
}

/// `GET /apps/{app}/formation/{type}`, by id or process type.
pub(crate) async fn info(
    own: Permitted<ViewApp>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Formation>> {
    let commands = commands(&state, &own.app).await?;
    let found = find(&state, &own.app, &identity).await?;
    Ok(Json(shape(&found, &own.app, &commands)))
}

/// `PATCH /apps/{app}/formation`
pub(crate) async fn update(
    own: Permitted<action::Scale>,
    State(state): State<Shared>,
    Body(batch): Body<Batch>,
) -> Result<Json<Vec<schema::Formation>>> {
    let updates: Vec<Scale> =
        batch.updates.into_iter().map(|one| scale(process_type(&one.kind)?, &one.change)).collect::<Result<_>>()?;
    let changed = state.dynos.scale(&own.app, &updates, &own.caller.account.email).await?;
    let commands = commands(&state, &own.app).await?;
    Ok(Json(changed.iter().map(|entry| shape(entry, &own.app, &commands)).collect()))
}

/// `PATCH /apps/{app}/formation/{type}`
pub(crate) async fn update_one(
    own: Permitted<action::Scale>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
    Body(change): Body<Change>,
) -> Result<Json<schema::Formation>> {
    let named = find(&state, &own.app, &identity).await.map(|entry| entry.process_type);
    let kind = named.or_else(|_| process_type(&identity))?;
    let update = [scale(kind.clone(), &change)?];
    let changed = state.dynos.scale(&own.app, &update, &own.caller.account.email).await?;
    let commands = commands(&state, &own.app).await?;
    let entry = changed.iter().find(|entry| entry.process_type == kind).ok_or_else(Error::broken)?;
    Ok(Json(shape(entry, &own.app, &commands)))
}

async fn find(state: &ApiState, app: &App, identity: &str) -> Result<Formation> {
    let entries = store::formation::list(&state.store, app.id).await?;
    let found =
        entries.into_iter().find(|entry| entry.process_type.as_str() == identity || entry.id.to_string() == identity);
    found.ok_or_else(|| Error::not_found("process type"))
}

fn process_type(text: &str) -> Result<ProcessType> {
    text.parse().map_err(|_| Error::not_found("process type"))
}

fn scale(process_type: ProcessType, change: &Change) -> Result<Scale> {
    if change.docker_image.is_some() {
        return Err(Error::unbuilt("Releasing a container image"));
    }
    let size = change.size.as_ref().or(change.dyno_size.as_ref()).map(size).transpose()?;
    let quantity = change.quantity.as_ref().map(quantity).transpose()?;
    Ok(Scale { process_type, quantity, size })
}

/// A dyno size by name or id.
pub(crate) fn size(identity: &Identity) -> Result<DynoSize> {
    let text = identity.text();
    let found = DynoSize::ALL
        .into_iter()
        .find(|size| size.name().eq_ignore_ascii_case(text) || catalogue::is(text, "dyno-size", size.name()));
    found.ok_or_else(|| Error::invalid(format!("{}.", vocabulary::UnknownDynoSize)))
}

fn quantity(amount: &Amount) -> Result<Quantity> {
    let text = match amount {
        Amount::Number(number) => return Ok(Quantity::Exactly(*number)),
        Amount::Text(text) => text.trim(),
    };
    let relative = text.starts_with(['+', '-']);
    let number = if relative { text.parse().ok().map(Quantity::By) } else { text.parse().ok().map(Quantity::Exactly) };
    number.ok_or_else(|| Error::invalid(format!("Quantity {text:?} is no number such as 2, +1 or -1.")))
}

/// The commands of the current release's slug; none before the first deploy.
async fn commands(state: &ApiState, app: &App) -> Result<ProcessTypes> {
    let current = store::releases::current(&state.store, app.id).await?;
    let Some(slug) = current.and_then(|release| release.slug_id) else { return Ok(ProcessTypes::default()) };
    Ok(store::slugs::get(&state.store, slug).await?.map(|slug| slug.process_types).unwrap_or_default())
}

fn shape(entry: &Formation, app: &App, commands: &ProcessTypes) -> schema::Formation {
    shapes::formation(entry, app, commands.command(&entry.process_type).unwrap_or_default())
}
