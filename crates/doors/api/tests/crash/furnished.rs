//! A world in which there is one of everything that can be changed, left in a folder.

use std::fs;
use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use store::dynos::Dyno;
use vocabulary::{Digest, DynoId, DynoSize, DynoState, Secret, Stack, Timestamp};

use super::cases::Who;
use crate::support::world::World;
use crate::support::{Api, path, request};

/// What is in the folder.
pub(crate) struct Furnished {
    world: World,
    /// Names of things as the cases call them, and what they are.
    things: Vec<(&'static str, String)>,
    stranger: Secret,
}

impl Furnished {
    pub(crate) async fn new() -> Self {
        let world = World::over(Api::in_a_file().await).await;
        let api = &world.api;
        let mut things = vec![("app", "sushi".to_owned()), ("team", "acme".to_owned()), ("type", "web".to_owned())];
        things.extend(accounts_things(api).await);
        things.extend(app_things(api).await);
        let token = |caller: &crate::support::world::Caller| caller.token.clone();
        let stranger = world.callers.iter().find(|caller| caller.name == "stranger").map(token).unwrap();
        let admin = world.callers.iter().find(|caller| caller.name == "admin").map(token).unwrap();
        made(api, &admin, "/teams", json!({"name": "hollow"})).await;
        let owner = json!({"email": api.owner.email, "role": "admin"});
        assert!(api.with(&admin, Method::PUT, "/teams/hollow/members", owner).await.status.is_success());
        let invite = json!({"email": "stranger@example.com", "role": "member"});
        let invited = api.with(&admin, Method::PUT, "/teams/hollow/invitations", invite).await;
        things.push(("invitation", text(&invited.json["id"])));
        things.push(("invited", text(&invited.json["token"])));
        Self { world, things, stranger }
    }

    /// Copies the files into another folder, as a crash would find them.
    pub(crate) fn copy(&self, to: &Path) {
        copy(self.world.api.folder.path(), to);
    }

    /// A text of a case with the things' names in place.
    pub(crate) fn filled(&self, text: &str) -> String {
        self.things.iter().fold(text.to_owned(), |text, (name, thing)| text.replace(&format!("{{{name}}}"), thing))
    }

    /// What only leaving asks for.
    pub(crate) fn password(&self, who: Who) -> Option<&Secret> {
        (who == Who::Leaver).then_some(&self.world.api.other.password)
    }

    pub(crate) fn token(&self, who: Who) -> Option<&Secret> {
        match who {
            Who::Owner => Some(&self.world.api.owner.token),
            Who::Stranger => Some(&self.stranger),
            Who::Leaver => Some(&self.world.api.other.token),
            Who::Nobody => None,
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if !entry.file_name().to_string_lossy().ends_with("-shm") {
            // SQLite makes its index of the log anew, as after a crash.
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn made(api: &Api, token: &Secret, path: &str, body: Value) -> Value {
    let answer = api.with(token, Method::POST, path, body).await;
    assert!(answer.status.is_success(), "{path} {}", answer.text);
    answer.json
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn accounts_things(api: &Api) -> Vec<(&'static str, String)> {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@desk";
    let owner = &api.owner.token;
    let key = made(api, owner, "/account/keys", json!({"public_key": KEY})).await;
    let authorization = made(api, owner, "/oauth/authorizations", json!({"description": "one"})).await;
    let wish = json!({"name": "Amazing", "redirect_uri": "https://amazing.example/callback"});
    let client = made(api, owner, "/oauth/clients", wish).await;
    let grant = made(api, owner, "/oauth/authorizations", json!({"client": client["id"], "scope": ["identity"]})).await;
    let other = made(api, owner, "/oauth/authorizations", json!({"client": client["id"], "scope": ["identity"]})).await;
    let grant_of_other = json!({"code": other["grant"]["code"], "type": "authorization_code"});
    let exchange = json!({"client": {"secret": client["secret"]}, "grant": grant_of_other});
    let tokens = made(api, owner, "/oauth/tokens", exchange).await;
    let account = store::accounts::by_email(&api.store, api.owner.email).await.unwrap().unwrap();
    let mut write = api.store.write().await.unwrap();
    let ends = Timestamp::from_micros(Timestamp::now().micros() + 3_600_000_000);
    let session = store::sessions::create(&mut write, account.id, None, "a browser", ends).await.unwrap();
    write.commit().await.unwrap();
    vec![
        ("key", text(&key["fingerprint"])),
        ("authorization", text(&authorization["id"])),
        ("client", text(&client["id"])),
        ("secret", text(&client["secret"])),
        ("code", text(&grant["grant"]["code"])),
        ("session", session.id.to_string()),
        ("token", text(&tokens["id"])),
    ]
}

async fn app_things(api: &Api) -> Vec<(&'static str, String)> {
    let owner = &api.owner.token;
    api.app("maguro").await;
    let wish = json!({"app": "maguro", "recipient": "stranger@example.com"});
    let transfer = made(api, owner, "/account/app-transfers", wish).await;
    let favorite = made(api, owner, "/favorites", json!({"type": "app", "resource_id": "sushi"})).await;
    let stranger = store::accounts::by_email(&api.store, "stranger@example.com").await.unwrap().unwrap();
    let told = store::notifications::list(&api.store, stranger.id).await.unwrap();
    made(api, owner, "/apps/sushi/domains", json!({"hostname": "one.example.com", "sni_endpoint": null})).await;
    api.deploy("sushi", "web: node index.js\nworker: node worker.js\n").await;
    dyno(api).await;
    let (source, build) = source(api).await;
    // From here on what happens to domains is two rows more, of the same write.
    let wish = json!({"include": ["api:domain"], "level": "sync", "url": "https://example.com/hooks"});
    let webhook = made(api, owner, "/apps/sushi/webhooks", wish).await;
    vec![
        ("webhook", text(&webhook["id"])),
        ("transfer", text(&transfer["id"])),
        ("favorite", text(&favorite["id"])),
        ("notification", told.first().unwrap().id.to_string()),
        ("domain", "one.example.com".to_owned()),
        ("collaborator", "collaborator@example.com".to_owned()),
        ("dyno", "web.1".to_owned()),
        ("source", source),
        ("upload", upload_token(api).await),
        ("build", build),
    ]
}

/// A dyno of the current release, which in a platform with an engine its reconciler records; and a build cache.
#[expect(clippy::disallowed_methods, reason = "a test is no door")]
async fn dyno(api: &Api) {
    let app = store::apps::by_name(&api.store, &"sushi".parse().unwrap()).await.unwrap().unwrap();
    let release = store::releases::current(&api.store, app.id).await.unwrap().unwrap();
    let now = Timestamp::now();
    let dyno = Dyno {
        id: DynoId::new(),
        app_id: app.id,
        name: "web.1".parse().unwrap(),
        release_id: release.id,
        size: DynoSize::Standard1X,
        command: "node index.js".to_owned(),
        state: DynoState::Starting,
        address: None,
        restart_asked: false,
        one_off: None,
        created_at: now,
        updated_at: now,
    };
    let digest = Digest::from_bytes(&[7; 32]);
    let layer = store::layers::Layer { digest: digest.clone(), blob: digest.clone(), blob_bytes: 1, tar_bytes: 1 };
    let mut write = api.store.write().await.unwrap();
    store::dynos::create(&mut write, &dyno).await.unwrap();
    store::layers::create(&mut write, &layer).await.unwrap();
    store::layers::set_build_cache(&mut write, app.id, Stack::default(), &digest).await.unwrap();
    write.commit().await.unwrap();
}

/// What an address to upload to ends with; nothing was uploaded there.
async fn upload_token(api: &Api) -> String {
    let place = made(api, &api.owner.token, "/sources", Value::Null).await;
    text(&place["source_blob"]["put_url"]).rsplit('/').next().unwrap().to_owned()
}

/// The address of a source that is being built, which leads to its blob after a restart as well, and that build.
async fn source(api: &Api) -> (String, String) {
    let place = made(api, &api.owner.token, "/sources", Value::Null).await;
    let url = &place["source_blob"]["put_url"];
    let put = request(Method::PUT, &path(url), None).body(axum::body::Body::from("a source")).unwrap();
    assert!(api.send_raw(put).await.status.is_success());
    let build = made(api, &api.owner.token, "/apps/sushi/builds", json!({"source_blob": {"url": url}})).await;
    (text(&build["source_blob"]["url"]), text(&build["id"]))
}
