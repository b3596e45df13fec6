//! `heroku login`: the command asks for a login, opens our page in a browser, and waits for what its user says there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::authorizations::New;
use tokio::sync::watch;
use vocabulary::{AccountId, Secret, SessionId};

use crate::http::auth::{self, Credentials};
use crate::http::body::Body as JsonBody;
use crate::http::client::ClientAddress;
use crate::http::error::{Error, Result as ApiResult};
use crate::http::state::{Shared, State as ApiState};
use crate::resources::oauth_tokens::in_seconds;
use crate::setup::{new_token, random_text};
use crate::signin::fields::Fields;
use crate::signin::home::{redirect, sign_in_first};
use crate::signin::page::{PageError, Result, Text, shown, signed_in_as};
use crate::signin::visitor::Visitor;

/// How long a login is waited for; the command gives up after as long.
const WAIT: Duration = Duration::from_mins(10);
/// How often something is written meanwhile: the command hangs up after a minute of silence.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// The most logins under way; then the oldest is forgotten.
const MOST: usize = 1000;
/// How long the command stays logged in: a year (the command's own help, `heroku auth:token`).
const SECONDS: i64 = 365 * 24 * 3600;

/// What became of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Nobody said anything yet.
    None,
    /// Somebody let it in as themselves, at a browser signed in with this session.
    Yes(AccountId, SessionId),
    /// Somebody refused it, or it was forgotten.
    No,
}

/// A login under way.
#[derive(Debug)]
struct Login {
    token: Secret,
    description: String,
    from: ClientAddress,
    begun: Instant,
    answer: watch::Sender<Answer>,
}

/// The logins under way, in memory: one that a restart of control cuts off is begun again by its user.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<HashMap<String, Arc<Login>>>);

impl Logins {
    fn begin(&self, login: Login) -> String {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, login| login.begun.elapsed() < WAIT);
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, login)| login.begun).map(|(id, _)| id.clone());
            if let Some(login) = oldest.and_then(|id| all.remove(&id)) {
                login.answer.send_replace(Answer::No);
            }
        }
        let id = random_text::<18>();
        all.insert(id.clone(), Arc::new(login));
        id
    }

    fn get(&self, id: &str) -> Option<Arc<Login>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).filter(|login| login.begun.elapsed() < WAIT).cloned()
    }

    /// Answers once whether the login was still there.
    fn end(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id).is_some()
    }
}

/// What `POST /auth` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Begin {
    description: Option<String>,
}

/// What it answers: two paths of this host, and what proves that the one who waits is the one who asked.
#[derive(Debug, Serialize)]
pub(crate) struct Begun {
    browser_url: String,
    cli_url: String,
    token: String,
}

/// `POST /auth`
pub(crate) async fn begin(
    State(state): State<Shared>,
    from: ClientAddress,
    JsonBody(body): JsonBody<Begin>,
) -> ApiResult<(StatusCode, Json<Begun>)> {
    if state.strangers.take(from.clone(), Instant::now()).is_none() {
        return Err(Error::rate_limit());
    }
    let said = body.description.unwrap_or_default();
    let description: String = said.chars().filter(|letter| !letter.is_control()).take(200).collect();
    let token = random_text::<32>();
    let (answer, begun) = (watch::Sender::new(Answer::None), Instant::now());
    let id = state.logins.begin(Login { token: Secret::new(&*token), description, from, begun, answer });
    let urls = Begun { browser_url: format!("/auth/browser/{id}"), cli_url: format!("/auth/cli/{id}"), token };
    Ok((StatusCode::CREATED, Json(urls)))
}

/// `GET /auth/cli/{login}`: blanks until there is an answer, then the answer as JSON.
pub(crate) async fn wait(
    State(state): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let Some(Credentials::Token(token)) = auth::credentials(&headers) else {
        return Err(Error::unauthorized("There were no credentials in your `Authorization` header."));
    };
    let login = state.logins.get(&id).filter(|login| login.token == token).ok_or_else(|| Error::not_found("login"))?;
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b" ")) });
    let rest = stream::unfold(Some((state, id, login)), |waiting| async {
        let (state, id, login) = waiting?;
        match told(&state, &id, &login).await {
            None => Some((Ok(Bytes::from_static(b" ")), Some((state, id, login)))),
            Some(answer) => Some((Ok(Bytes::from(answer.to_string())), None)),
        }
    });
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// The answer to who waits; nothing after a while without one.
async fn told(state: &ApiState, id: &str, login: &Login) -> Option<Value> {
    if login.begun.elapsed() >= WAIT {
        return Some(json!({ "error": "Nobody let the command line in within ten minutes." }));
    }
    let mut answers = login.answer.subscribe();
    let answer =
        *tokio::time::timeout(SIGN_OF_LIFE, answers.wait_for(|answer| *answer != Answer::None)).await.ok()?.ok()?;
    // Whoever waits twice is answered once.
    let told = match answer {
        Answer::Yes(account, by) if state.logins.end(id) => match session(state, account, by, login).await {
            Ok(Some(token)) => return Some(json!({ "access_token": token.reveal() })),
            Ok(None) => "Whoever let the command line in was signed out meanwhile.".to_owned(),
            Err(error) => error.message().to_owned(),
        },
        _ => "The login was refused.".to_owned(),
    };
    Some(json!({ "error": told }))
}

/// Begins a session for the command, and the token that ends with it; nothing if the session that let it in has ended.
/// From here on the two are apart: who signs out of the browser stays logged in at the command line.
async fn session(state: &ApiState, account: AccountId, by: SessionId, login: &Login) -> ApiResult<Option<Secret>> {
    let (token, ends) = (new_token(), in_seconds(SECONDS));
    let scope = ["global".to_owned()];
    let new = New {
        account_id: account,
        token: &token,
        description: &login.description,
        scope: &scope,
        is_default: false,
        expires_at: Some(ends),
    };
    let mut write = state.store.write().await?;
    if !store::sessions::lives(&mut write, by).await? {
        return Ok(None);
    }
    let session = store::sessions::create(&mut write, account, None, &login.description, ends).await?;
    let made = store::authorizations::create(&mut write, &new).await?;
    store::authorizations::bind_to_session(&mut write, made.id, session.id).await?;
    write.commit().await?;
    Ok(Some(token))
}

/// `GET /auth/browser/{login}`
pub(crate) async fn show(State(state): State<Shared>, Path(id): Path<String>, visitor: Visitor) -> Result {
    let login = find(&state, &id)?;
    let here = format!("/auth/browser/{id}");
    let Some((account, _)) = &visitor.signed_in else { return Ok(redirect(&sign_in_first(&here), None)) };
    let body = format!(
        "<p>A command line asks to act for you:</p>\n<dl><dt>Name</dt><dd>{}</dd><dt>From</dt><dd>{}</dd>\
         <dt>As</dt><dd>{}</dd></dl>\n<p>Go on only if it was you who typed <code>heroku login</code> just now.</p>\n\
         <form method=\"post\" action=\"{here}\">{}<div class=\"actions\">\
         <button name=\"answer\" value=\"yes\">Log in</button>\
         <button class=\"other\" name=\"answer\" value=\"no\">Refuse</button></div></form>\n{}",
        Text(&login.description),
        Text(&login.from.0),
        Text(&account.email),
        visitor.hidden_field(),
        signed_in_as(&visitor, &account.email, &here),
    );
    Ok(shown(StatusCode::OK, "Log in to the command line", &body))
}

/// `POST /auth/browser/{login}`
pub(crate) async fn answer(
    State(state): State<Shared>,
    Path(id): Path<String>,
    visitor: Visitor,
    fields: Fields,
) -> Result {
    visitor.sent(&state, &fields)?;
    let login = find(&state, &id)?;
    let Some((account, session)) = &visitor.signed_in else {
        return Ok(redirect(&sign_in_first(&format!("/auth/browser/{id}")), None));
    };
    let yes = fields.text("answer") == "yes";
    // The first answer stands.
    let answer = if yes { Answer::Yes(account.id, session.id) } else { Answer::No };
    login.answer.send_if_modified(|known| {
        let first = *known == Answer::None;
        if first {
            *known = answer;
        }
        first
    });
    let (title, text) = if yes {
        ("Logged in", "The command line goes on. You can close this page.")
    } else {
        ("Refused", "The command line was not let in. You can close this page.")
    };
    Ok(shown(StatusCode::OK, title, &format!("<p>{text}</p>")))
}

fn find(state: &ApiState, id: &str) -> Result<Arc<Login>> {
    let gone = || PageError(Error::no_such("This login has ended. Type heroku login again."));
    state.logins.get(id).ok_or_else(gone)
}
