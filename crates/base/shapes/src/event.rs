//! An event as webhooks are told of it.

use serde::Serialize;
use serde_json::{Map, Value};
use store::events::{Event, Person, Snapshot, Thing};

use crate::resources::{AppOwner, app, build, collaborator, domain, dyno, formation, release, user};
use crate::{Hosts, catalogue};

/// What every event's version says (Heroku Dev Center, "Webhook Events").
const VERSION: &str = "application/vnd.heroku+json; version=3";

/// What `GET /apps/{app}/webhook-events` shows of an event, and the body of a delivery holds.
#[must_use]
pub fn payload(event: &Event, hosts: &Hosts) -> schema::WebhookPayload {
    schema::WebhookPayload {
        action: event.action.as_str(),
        actor: person(&event.actor),
        data: data(event, hosts),
        previous_data: previous(event, hosts),
        // What happens is told at once: it is published when it happens.
        published_at: event.created_at.into(),
        resource: event.include.resource(),
        sequence: event.sequence,
        version: VERSION,
    }
}

/// The thing as it was after the event, as the API showed it then.
#[must_use]
pub fn data(event: &Event, hosts: &Hosts) -> Value {
    resource(&event.snapshot, hosts)
}

/// What an update changed: the fields as they were before it. Empty otherwise.
#[must_use]
pub fn previous(event: &Event, hosts: &Hosts) -> Value {
    let Some(Value::Object(before)) = event.previous.as_ref().map(|before| resource(before, hosts)) else {
        return Value::Object(Map::new());
    };
    let after = data(event, hosts);
    before.into_iter().filter(|(name, value)| after.get(name) != Some(value)).collect::<Map<_, _>>().into()
}

fn person(person: &Person) -> schema::User {
    user(person.id, &person.email)
}

/// Addresses of outputs and sources are null: each would be as good as the permission to read them, in the hands of
/// whoever receives it.
fn resource(snapshot: &Snapshot, hosts: &Hosts) -> Value {
    let of = &snapshot.app;
    match &snapshot.thing {
        Thing::App => {
            let team = snapshot.team.as_ref().map(|(id, name)| (*id, name));
            let owner = AppOwner::new(person(&snapshot.owner), team);
            value(&app(of, owner, hosts, &hosts.api(), catalogue::generation()))
        }
        Thing::Build(row, who) => {
            let mut build = value(&build(row, person(who), String::new(), String::new()));
            for address in ["/output_stream_url", "/source_blob/url"] {
                if let Some(address) = build.pointer_mut(address) {
                    *address = Value::Null;
                }
            }
            build
        }
        Thing::Collaborator(row, who, role) => value(&collaborator(row, of, person(who), *role)),
        Thing::Domain(row) => value(&domain(row, of, hosts)),
        Thing::Dyno(row, version) => value(&dyno(row, of, *version)),
        Thing::Formation(row, command) => value(&formation(row, of, command)),
        Thing::Release(row, who, current) => value(&release(row, of, person(who), *current, None)),
    }
}

fn value(resource: &impl Serialize) -> Value {
    // A struct of plain fields always is JSON.
    serde_json::to_value(resource).unwrap_or_default()
}
