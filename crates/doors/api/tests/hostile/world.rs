//! What the requests are about: an API with one of each thing in it, and its record to look at.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::Method;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Column as _, ConnectOptions as _, Row as _, ValueRef as _};

use crate::random::Random;
use crate::support::{Api, path};
use crate::values;

pub(crate) struct World {
    pub(crate) api: Api,
    /// Ids, so that a new name leaves them as they are.
    pub(crate) app: String,
    pub(crate) team: String,
    pub(crate) slug: String,
    pub(crate) client: String,
    pub(crate) other: &'static str,
    parameters: BTreeMap<&'static str, Vec<String>>,
    record: SqliteConnection,
    /// SQLite's count of what others wrote, and what the record held then.
    seen: (i64, String),
}

/// What stands for parameters of a path.
type Known<const N: usize> = [(&'static str, Vec<String>); N];

async fn made(api: &Api, method: Method, path: &str, body: Value) -> Value {
    let answer = api.owner(method, path, body).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text);
    answer.json
}

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

/// The last part of an address.
fn end(address: &Value) -> String {
    path(address).rsplit('/').next().unwrap().to_owned()
}

async fn of_an_app(api: &Api) -> Known<6> {
    let domain = json!({"hostname": "a.example.com", "sni_endpoint": null});
    let domain = made(api, Method::POST, "/apps/sushi/domains", domain).await;
    let email = api.other.email;
    let let_in = made(api, Method::POST, "/apps/sushi/collaborators", json!({"user": email})).await;
    let dyno = made(api, Method::POST, "/apps/sushi/dynos", json!({"command": "true"})).await;
    let release = made(api, Method::GET, "/apps/sushi/releases", Value::Null).await;
    let slug = release.as_array().unwrap().iter().find_map(|one| one["slug"]["id"].as_str()).unwrap().to_owned();
    let source = made(api, Method::POST, "/sources", Value::Null).await;
    let log = made(api, Method::POST, "/apps/sushi/log-sessions", json!({"lines": 5})).await;
    [
        ("{collaborator}", vec![id(&let_in), email.to_owned()]),
        ("{domain}", vec![id(&domain), "a.example.com".to_owned()]),
        ("{dyno}", vec![id(&dyno), "run.1".to_owned()]),
        ("{release}", vec!["1".to_owned(), "v2".to_owned(), id(&release[0])]),
        ("{slug}", vec![slug]),
        ("{token}", vec![end(&source["source_blob"]["put_url"]), end(&log["logplex_url"])]),
    ]
}

async fn of_an_account(api: &Api) -> Known<3> {
    let transfer = json!({"app": "sushi", "recipient": api.other.email});
    let transfer = made(api, Method::POST, "/account/app-transfers", transfer).await;
    let client = json!({"name": "client", "redirect_uri": "https://example.com/"});
    let client = made(api, Method::POST, "/oauth/clients", client).await;
    let authorization = made(api, Method::POST, "/oauth/authorizations", json!({"description": "a test's"})).await;
    [
        ("{transfer}", vec![id(&transfer)]),
        ("{client}", vec![id(&client)]),
        ("{authorization}", vec![id(&authorization)]),
    ]
}

async fn of_a_team(api: &Api) -> Known<3> {
    let email = api.other.email;
    let team = made(api, Method::POST, "/teams", json!({"name": "acme"})).await;
    made(api, Method::PUT, "/teams/acme/members", json!({"email": email, "role": "member"})).await;
    let member = made(api, Method::GET, "/teams/acme/members", Value::Null).await;
    let app = made(api, Method::POST, "/teams/apps", json!({"name": "maki", "team": "acme"})).await;
    [("{team}", vec![id(&team)]), ("{member}", vec![id(&member[0]), email.to_owned()]), ("{app}", vec![id(&app)])]
}

impl World {
    pub(crate) async fn new() -> Self {
        let api = Api::in_a_file().await;
        api.app("sushi").await;
        api.deploy("sushi", "web: node index.js\nworker: node worker.js\n").await;
        let mut parameters = BTreeMap::from([
            ("{build}", vec![]),
            ("{name}", vec!["heroku%2Fnodejs".to_owned()]),
            ("{region}", vec!["us".to_owned()]),
            ("{size}", vec!["basic".to_owned()]),
            ("{stack}", vec!["heroku-24".to_owned()]),
            ("{type}", vec!["web".to_owned(), "worker".to_owned()]),
            ("{user}", vec!["~".to_owned(), api.owner.email.to_owned()]),
        ]);
        parameters.extend(of_an_app(&api).await);
        parameters.extend(of_an_account(&api).await);
        parameters.extend(of_a_team(&api).await);
        let app = id(&made(&api, Method::GET, "/apps/sushi", Value::Null).await);
        parameters.entry("{app}").or_default().insert(0, app.clone());
        let first = |parameter: &str| parameters[parameter][0].clone();
        let (team, slug, client) = (first("{team}"), first("{slug}"), first("{client}"));
        let file = SqliteConnectOptions::new().filename(api.file()).read_only(true);
        let record = file.connect().await.unwrap();
        let (other, seen) = (api.other.email, (-1, String::new()));
        let mut world = Self { api, app, team, slug, client, other, parameters, record, seen };
        assert_eq!(world.changed().await.as_deref(), Some(""));
        world
    }

    /// A path of the table with its parameters filled in: mostly with what there is.
    pub(crate) fn path(&self, random: &mut Random, path: &str, good: usize) -> String {
        let part = |part: &str| {
            if !part.starts_with('{') {
                return part.to_owned();
            }
            let known = self.parameters.get(part).map(Vec::as_slice).unwrap_or_default();
            if known.is_empty() || !random.percent(good) {
                return values::segment(random);
            }
            known[random.below(known.len())].clone()
        };
        path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// Whether what every request needs is still there.
    pub(crate) async fn stands(&self) -> bool {
        let mut all = true;
        for path in [format!("/apps/{}", self.app), format!("/teams/{}", self.team), "/account".to_owned()] {
            all &= self.api.get(&path).await.status.is_success();
        }
        all
    }

    /// What the record holds now in place of what it held when this was asked last; nothing if that is the same.
    pub(crate) async fn changed(&mut self) -> Option<String> {
        let (version,): (i64,) = sqlx::query_as("PRAGMA data_version").fetch_one(&mut self.record).await.unwrap();
        if version == self.seen.0 {
            return None;
        }
        let now = self.dump().await;
        let (_, before) = std::mem::replace(&mut self.seen, (version, now));
        if before == self.seen.1 {
            return None;
        }
        let new = self.seen.1.lines().filter(|line| !before.is_empty() && !before.contains(line));
        Some(new.collect::<Vec<_>>().join("\n"))
    }

    /// Every row of every table.
    async fn dump(&mut self) -> String {
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
        let tables: Vec<(String,)> = sqlx::query_as(tables).fetch_all(&mut self.record).await.unwrap();
        let mut text = String::new();
        for (table,) in tables {
            let rows = format!("SELECT * FROM \"{table}\" ORDER BY rowid");
            for row in sqlx::query(sqlx::AssertSqlSafe(rows)).fetch_all(&mut self.record).await.unwrap() {
                write!(text, "{table}").unwrap();
                for column in row.columns() {
                    let value = row.try_get_raw(column.ordinal()).unwrap();
                    if !value.is_null() {
                        let value = row.try_get_unchecked::<Vec<u8>, _>(column.ordinal()).unwrap();
                        write!(text, " {}={}", column.name(), value.escape_ascii()).unwrap();
                    }
                }
                text.push('\n');
            }
        }
        text
    }
}
