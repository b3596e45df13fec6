//! `/apps/{app}/webhooks`, and what they were told: `/apps/{app}/webhook-deliveries`, `/apps/{app}/webhook-events`.

use std::collections::BTreeSet;

use access::OnApp;
use access::action::{Configure, ViewWebhooks};
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use outbound::Target;
use schema::{WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookEventReference, WebhookReference};
use serde::{Deserialize, Deserializer};
use store::apps::App;
use store::deliveries::Delivery;
use store::events::Event;
use store::part::{Between, Part};
use store::webhooks::{Change, New, Webhook};
use vocabulary::{DeliveryStatus, Secret, WebhookInclude, WebhookLevel};

use crate::http::body::Body;
use crate::http::error::{Error, Result};
use crate::http::list::{self, Key, Sort};
use crate::http::permitted::Permitted;
use crate::http::range::Range;
use crate::http::state::{Shared, State as ApiState};

const SORTS: &[Sort<Webhook>] =
    &[("id", |webhook| Key::text(&webhook.id)), ("created_at", |webhook| Key::Time(webhook.created_at))];
const DELIVERY_SORTS: &[Sort<Delivery>] =
    &[("seq", |delivery| Key::Number(delivery.sequence)), ("id", |delivery| Key::text(&delivery.id))];
const EVENT_SORTS: &[Sort<Event>] =
    &[("seq", |event| Key::Number(event.sequence)), ("id", |event| Key::text(&event.id))];

/// Webhooks of one app (Heroku Dev Center, "Limits").
const MOST: i64 = 10;
/// Webhooks of all apps of one account or team. Ours: Heroku bounds the number of apps.
const MOST_OF_OWNER: i64 = 100;
/// The longest secret or authorization in bytes.
const LONGEST: usize = 2048;
/// Where the secret is told, to whoever sets it and never again.
const SECRET: HeaderName = HeaderName::from_static("heroku-webhook-secret");

/// What `POST /apps/{app}/webhooks` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    include: Vec<String>,
    level: String,
    url: String,
    secret: Option<String>,
    authorization: Option<String>,
}

/// What `PATCH /apps/{app}/webhooks/{webhook}` takes. Null for a secret is a new one, for the authorization none.
#[derive(Debug, Deserialize)]
pub(crate) struct Update {
    include: Option<Vec<String>>,
    level: Option<String>,
    url: Option<String>,
    #[serde(default, deserialize_with = "given")]
    secret: Field,
    #[serde(default, deserialize_with = "given")]
    authorization: Field,
}

/// A field of a change.
#[derive(Debug, Default)]
enum Field {
    /// It is not there: all stays as it is.
    #[default]
    Left,
    /// Null.
    Null,
    /// A text.
    Text(String),
}

/// Tells null from a field that is not there.
fn given<'de, D: Deserializer<'de>>(field: D) -> std::result::Result<Field, D::Error> {
    Ok(Option::deserialize(field)?.map_or(Field::Null, Field::Text))
}

/// `GET /apps/{app}/webhooks`
pub(crate) async fn list(own: Permitted<ViewWebhooks>, State(state): State<Shared>, range: Range) -> Result<Response> {
    let webhooks = store::webhooks::list(&state.store, own.app.id).await?;
    list::answer(&range, webhooks, SORTS, |webhook| shape(webhook, &own.app))
}

/// `GET /apps/{app}/webhooks/{webhook}`
pub(crate) async fn info(
    own: Permitted<ViewWebhooks>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Webhook>> {
    Ok(Json(shape(&find(&state, &own, &identity).await?, &own.app)))
}

/// `POST /apps/{app}/webhooks`
pub(crate) async fn create(
    own: Permitted<Configure>,
    State(state): State<Shared>,
    Body(body): Body<Create>,
) -> Result<Response> {
    let include = include(&body.include)?;
    let level = level(&body.level)?;
    reachable(&state, &body.url)?;
    let secret = secret(body.secret)?;
    let authorization = body.authorization.map(authorization).transpose()?;
    let mut write = state.store.write_by(own.caller.account.id).await?;
    if store::webhooks::count(&mut write, own.app.id).await? >= MOST {
        return Err(Error::invalid(format!("An app has at most {MOST} webhooks.")));
    }
    if store::webhooks::count_of_owner(&mut write, own.app.id).await? >= MOST_OF_OWNER {
        let most = format!("All apps of one account or team have at most {MOST_OF_OWNER} webhooks together.");
        return Err(Error::invalid(most));
    }
    let new = New {
        app_id: own.app.id,
        url: &body.url,
        include: &include,
        level,
        secret: &secret,
        authorization: authorization.as_ref(),
    };
    let made = store::webhooks::create(&mut write, &new).await?;
    write.commit().await?;
    Ok((StatusCode::CREATED, telling(&secret), Json(shape(&made, &own.app))).into_response())
}

/// `PATCH /apps/{app}/webhooks/{webhook}`
pub(crate) async fn update(
    own: Permitted<Configure>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
    Body(body): Body<Update>,
) -> Result<Response> {
    let id = find(&state, &own, &identity).await?.id;
    let include = body.include.as_deref().map(include).transpose()?;
    if let Some(url) = &body.url {
        reachable(&state, url)?;
    }
    let secret = match body.secret {
        Field::Left => None,
        Field::Null => Some(secret(None)?),
        Field::Text(text) => Some(secret(Some(text))?),
    };
    let authorization = match body.authorization {
        Field::Left => None,
        Field::Null => Some(None),
        Field::Text(text) => Some(Some(authorization(text)?)),
    };
    let change = Change {
        url: body.url.as_deref(),
        include: include.as_ref(),
        level: body.level.as_deref().map(level).transpose()?,
        secret: secret.as_ref(),
        authorization: authorization.as_ref().map(Option::as_ref),
    };
    let mut write = state.store.write_by(own.caller.account.id).await?;
    let changed = store::webhooks::update(&mut write, id, &change).await?.ok_or_else(no_webhook)?;
    write.commit().await?;
    let told = secret.as_ref().map(telling).unwrap_or_default();
    Ok((told, Json(shape(&changed, &own.app))).into_response())
}

/// `DELETE /apps/{app}/webhooks/{webhook}`: it is told nothing more, not even what waits.
pub(crate) async fn delete(
    own: Permitted<Configure>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<schema::Webhook>> {
    let webhook = find(&state, &own, &identity).await?;
    let mut write = state.store.write_by(own.caller.account.id).await?;
    store::webhooks::delete(&mut write, webhook.id).await?;
    write.commit().await?;
    Ok(Json(shape(&webhook, &own.app)))
}

/// `GET /apps/{app}/webhook-deliveries`; `?eq[status]=failed` for those that stand so.
pub(crate) async fn deliveries(
    own: Permitted<ViewWebhooks>,
    State(state): State<Shared>,
    RawQuery(query): RawQuery,
    range: Range,
) -> Result<Response> {
    let wanted = status(query.as_deref().unwrap_or_default())?;
    let deliveries = store::deliveries::list(&state.store, own.app.id, wanted, &part(&range)?).await?;
    list::answer(&range, deliveries, DELIVERY_SORTS, delivery)
}

/// `GET /apps/{app}/webhook-deliveries/{delivery}`
pub(crate) async fn delivery_info(
    own: Permitted<ViewWebhooks>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<WebhookDelivery>> {
    let missing = || Error::not_found("webhook delivery");
    let id = identity.parse().map_err(|_| missing())?;
    let found = store::deliveries::of_app(&state.store, own.app.id, id).await?;
    Ok(Json(delivery(&found.ok_or_else(missing)?)))
}

/// `GET /apps/{app}/webhook-events`
pub(crate) async fn events(
    own: Permitted<ViewWebhooks>,
    State(state): State<Shared>,
    range: Range,
) -> Result<Response> {
    let events = store::events::list(&state.store, own.app.id, &part(&range)?).await?;
    list::answer(&range, events, EVENT_SORTS, |one| event(&state, one))
}

/// `GET /apps/{app}/webhook-events/{event}`
pub(crate) async fn event_info(
    own: Permitted<ViewWebhooks>,
    State(state): State<Shared>,
    Path((_, identity)): Path<(String, String)>,
) -> Result<Json<WebhookEvent>> {
    let missing = || Error::not_found("webhook event");
    let id = identity.parse().map_err(|_| missing())?;
    let found = store::events::of_app(&state.store, own.app.id, id).await?;
    Ok(Json(event(&state, &found.ok_or_else(missing)?)))
}

/// What the store reads for a page by `seq` or `id`.
fn part(range: &Range) -> Result<Part> {
    match range.key.as_deref() {
        None | Some("seq") => {
            let (start, end) = list::bounds(range, i64::MIN, i64::MAX)?;
            Ok(list::part(range, Between::Sequence(start, end)))
        }
        // Ids are hexadecimal digits and dashes; "g" is beyond all of them.
        Some(_) => {
            let (start, end) = list::bounds(range, String::new(), "g".to_owned())?;
            Ok(list::part(range, Between::Id(start, end)))
        }
    }
}

async fn find(state: &ApiState, own: &OnApp, identity: &str) -> Result<Webhook> {
    let mut all = store::webhooks::list(&state.store, own.app.id).await?.into_iter();
    all.find(|webhook| webhook.id.to_string() == identity).ok_or_else(no_webhook)
}

fn no_webhook() -> Error {
    Error::not_found("webhook")
}

fn include(words: &[String]) -> Result<BTreeSet<WebhookInclude>> {
    let each = words.iter().map(|word| word.parse());
    let all: std::result::Result<BTreeSet<_>, vocabulary::UnknownWebhookInclude> = each.collect();
    let all = all.map_err(|error| invalid("include", &error))?;
    if all.is_empty() { Err(Error::invalid("include: name at least one entity.")) } else { Ok(all) }
}

fn level(word: &str) -> Result<WebhookLevel> {
    word.parse().map_err(|error: vocabulary::UnknownWebhookLevel| invalid("level", &error))
}

/// Refuses what can be refused without asking who a name is. Where a name leads is looked at with each delivery.
fn reachable(state: &ApiState, url: &str) -> Result<()> {
    Target::parse(url, &state.outbound).map(drop).map_err(|error| invalid("url", &error))
}

fn invalid(field: &str, error: &dyn std::error::Error) -> Error {
    Error::invalid(format!("{field}: {error}."))
}

/// The secret that was given, or a new one of 240 bits, as long as Heroku's.
fn secret(given: Option<String>) -> Result<Secret> {
    if let Some(text) = given.filter(|text| !text.is_empty()) {
        return header_text("secret", text);
    }
    let mut bytes = [0; 30];
    getrandom::fill(&mut bytes).map_err(|_| Error::broken())?;
    Ok(Secret::new(HEXLOWER.encode(&bytes)))
}

fn authorization(text: String) -> Result<Secret> {
    header_text("authorization", text)
}

/// Both go through headers.
fn header_text(field: &str, text: String) -> Result<Secret> {
    let fits = text.len() <= LONGEST && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if fits {
        return Ok(Secret::new(text));
    }
    Err(Error::invalid(format!("{field}: give at most {LONGEST} visible ASCII characters.")))
}

fn telling(secret: &Secret) -> HeaderMap {
    HeaderValue::from_str(secret.reveal()).map(|value| HeaderMap::from_iter([(SECRET, value)])).unwrap_or_default()
}

/// The status a query asks for, as the official command writes it.
fn status(query: &str) -> Result<Option<DeliveryStatus>> {
    let wanted = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "eq[status]");
    let Some((_, word)) = wanted else { return Ok(None) };
    let unknown = |()| Error::invalid("A delivery is pending, scheduled, retrying, failed or succeeded.");
    word.parse().map(Some).map_err(unknown)
}

fn shape(webhook: &Webhook, app: &App) -> schema::Webhook {
    schema::Webhook {
        id: webhook.id.uuid(),
        app: shapes::app_reference(app),
        include: webhook.include.iter().map(|one| one.as_str()).collect(),
        level: webhook.level.as_str(),
        url: webhook.url.clone(),
        created_at: webhook.created_at.into(),
        updated_at: webhook.updated_at.into(),
    }
}

fn delivery(delivery: &Delivery) -> WebhookDelivery {
    let status = match delivery.status {
        DeliveryStatus::Pending | DeliveryStatus::Scheduled => "scheduled",
        DeliveryStatus::Succeeded => "succeeded",
        DeliveryStatus::Retrying | DeliveryStatus::Failed => "failed",
    };
    let attempt = delivery.last_attempt.as_ref().map(|attempt| WebhookAttempt {
        id: attempt.id.uuid(),
        code: attempt.code,
        error_class: attempt.error.clone(),
        status,
        created_at: attempt.created_at.into(),
        updated_at: delivery.updated_at.into(),
    });
    WebhookDelivery {
        id: delivery.id.uuid(),
        event: WebhookEventReference { id: delivery.event_id.uuid(), include: delivery.include.as_str() },
        last_attempt: attempt,
        next_attempt_at: delivery.next_attempt_at.map(Into::into),
        num_attempts: delivery.attempts,
        status: delivery.status.as_str(),
        webhook: WebhookReference { id: delivery.webhook_id.uuid(), level: delivery.level.as_str() },
        created_at: delivery.created_at.into(),
        updated_at: delivery.updated_at.into(),
    }
}

fn event(state: &ApiState, event: &Event) -> WebhookEvent {
    WebhookEvent {
        id: event.id.uuid(),
        include: event.include.as_str(),
        payload: shapes::payload(event, &state.hosts),
        created_at: event.created_at.into(),
        updated_at: event.created_at.into(),
    }
}
