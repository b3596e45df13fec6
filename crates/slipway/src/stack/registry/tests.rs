//! A real server that speaks the pull part of the distribution API with token authentication, as Docker Hub does, which
//! tests cannot reach.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as Segments, Query, State};
use axum::http::{HeaderMap, Response as Answer};
use axum::routing::get;

use super::*;

#[derive(Default)]
struct Shelf {
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, Vec<u8>>,
    /// Who must ask for the token; anybody if there is no such one.
    user: Option<&'static str>,
    /// Where blobs are instead of here.
    redirect: Option<String>,
    /// Blobs that are cut short once.
    cut_once: Vec<String>,
    asked: Vec<String>,
    address: String,
}

type Shared = Arc<Mutex<Shelf>>;

fn answer(status: u16, body: Vec<u8>) -> Answer<Body> {
    Answer::builder().status(status).body(Body::from(body)).unwrap()
}

async fn token(
    State(shelf): State<Shared>,
    Query(asked): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Answer<Body> {
    let shelf = shelf.lock().unwrap();
    let given = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if shelf.user.map(str::to_owned) != given
        || asked["scope"] != "repository:team/image:pull"
        || asked["service"] != "us"
    {
        return answer(401, vec![]);
    }
    answer(200, br#"{"token":"good"}"#.to_vec())
}

async fn part(
    State(shelf): State<Shared>,
    Segments((kind, name)): Segments<(String, String)>,
    headers: HeaderMap,
) -> Answer<Body> {
    let mut shelf = shelf.lock().unwrap();
    shelf.asked.push(format!("{kind}/{name}"));
    if headers.get("authorization").is_none_or(|value| value != "Bearer good") {
        let challenge =
            format!(r#"Bearer realm="http://{}/token",service="us",scope="repository:team/image:pull""#, shelf.address);
        return Answer::builder().status(401).header("www-authenticate", challenge).body(Body::empty()).unwrap();
    }
    if kind == "blobs"
        && let Some(elsewhere) = &shelf.redirect
    {
        return Answer::builder()
            .status(307)
            .header("location", format!("{elsewhere}/{name}"))
            .body(Body::empty())
            .unwrap();
    }
    let all = if kind == "blobs" { &shelf.blobs } else { &shelf.manifests };
    let Some(mut bytes) = all.get(&name).cloned() else { return answer(404, vec![]) };
    if let Some(at) = shelf.cut_once.iter().position(|cut| *cut == name) {
        shelf.cut_once.remove(at);
        bytes.truncate(bytes.len() / 2);
    }
    answer(200, bytes)
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::from_bytes(&Sha256::digest(bytes).into()))
}

/// A shelf with one image for two kinds of machines, and the tag 1 on it.
fn stocked() -> Shelf {
    let mut shelf = Shelf::default();
    let mut blob = |bytes: &[u8]| {
        shelf.blobs.insert(digest(bytes), bytes.to_vec());
        json!({"digest": digest(bytes), "size": bytes.len()})
    };
    let (config, layers) = (blob(b"{}"), [blob(b"a layer"), blob(&vec![7; 300_000])]);
    let manifest = json!({"config": config, "layers": layers}).to_string().into_bytes();
    let list = json!({"manifests": [
        {"digest": digest(b"arm"), "size": 3, "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": digest(&manifest), "size": manifest.len(), "platform": {"os": "linux", "architecture": "amd64"}},
    ]});
    shelf.manifests.insert(digest(&manifest), manifest);
    shelf.manifests.insert("1".to_owned(), list.to_string().into_bytes());
    shelf
}

async fn served(shelf: Shelf) -> (Shared, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shelf = Arc::new(Mutex::new(Shelf { address: address.clone(), ..shelf }));
    let routes = Router::new().route("/token", get(token)).route("/v2/team/image/{kind}/{name}", get(part));
    let routes = routes.with_state(Arc::clone(&shelf));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (shelf, format!("http://{address}/team/image:1"))
}

async fn pulled(reference: &str, folder: &Path, credentials: Option<Credentials>) -> Result<Digest, Error> {
    let client = client(Path::new("/none")).unwrap();
    pull(&client, &reference.parse().unwrap(), credentials.as_ref(), folder, &mut |_| {}).await
}

#[tokio::test]
async fn an_image_is_fetched_by_a_token_and_no_part_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (shelf, reference) = served(stocked()).await;
    shelf.lock().unwrap().cut_once = vec![digest(b"a layer")];
    let found = pulled(&reference, folder.path(), None).await.unwrap();
    let blob = |name: &str| fs::read(folder.path().join("blobs/sha256").join(name.trim_start_matches("sha256:")));
    assert_eq!(blob(&digest(b"a layer")).unwrap(), b"a layer", "fetched again after it was cut off");
    let manifest = blob(found.as_str()).unwrap();
    assert_eq!(digest(&manifest), format!("sha256:{found}"));
    let index = fs::read_to_string(folder.path().join("index.json")).unwrap();
    assert!(index.contains(found.as_str()) && folder.path().join("oci-layout").exists(), "{index}");
    shelf.lock().unwrap().asked.clear();
    pulled(&reference, folder.path(), None).await.unwrap();
    let asked = shelf.lock().unwrap().asked.clone();
    assert!(!asked.iter().any(|part| part.starts_with("blobs/")), "{asked:?}");
}

#[tokio::test]
async fn a_part_that_the_disk_spoilt_is_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let (shelf, reference) = served(stocked()).await;
    pulled(&reference, folder.path(), None).await.unwrap();
    let part = folder.path().join("blobs/sha256").join(digest(b"a layer").trim_start_matches("sha256:"));
    fs::write(&part, b"A LAYER").unwrap();
    shelf.lock().unwrap().asked.clear();
    pulled(&reference, folder.path(), None).await.unwrap();
    assert_eq!(fs::read(&part).unwrap(), b"a layer");
    let asked = shelf.lock().unwrap().asked.clone();
    assert_eq!(asked.iter().filter(|part| part.starts_with("blobs/")).count(), 1, "{asked:?}");
}

#[tokio::test]
async fn a_private_image_wants_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let known = |password| Credentials { user: "ada".to_owned(), password: vocabulary::Secret::new(password) };
    // ada:secret
    let (_, reference) = served(Shelf { user: Some("Basic YWRhOnNlY3JldA=="), ..stocked() }).await;
    for wrong in [None, Some(known("other"))] {
        let refused = pulled(&reference, folder.path(), wrong).await.unwrap_err();
        assert!(matches!(&refused, Error::Refused(..)) && refused.to_string().contains("--credentials"), "{refused}");
    }
    pulled(&reference, folder.path(), Some(known("secret"))).await.unwrap();
}

#[tokio::test]
async fn other_bytes_than_promised_are_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = stocked();
    shelf.blobs.insert(digest(b"a layer"), b"another".to_vec());
    let (_, reference) = served(shelf).await;
    assert!(matches!(pulled(&reference, folder.path(), None).await, Err(Error::Digest(..))));
    let kept = folder.path().join("blobs/sha256").join(digest(b"a layer").trim_start_matches("sha256:"));
    assert!(!kept.exists() && !folder.path().join("index.json").exists());
    assert_eq!(fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count(), 0, "no draft either");
    let mut shelf = stocked();
    let manifest = shelf.manifests.keys().find(|name| name.starts_with("sha256")).unwrap().clone();
    shelf.manifests.insert(manifest.clone(), br#"{"config":{},"layers":[]}"#.to_vec());
    let (_, reference) = served(shelf).await;
    assert!(matches!(pulled(&reference, folder.path(), None).await, Err(Error::Digest(..))));
    let (_, reference) = served(stocked()).await;
    assert!(matches!(pulled(reference.trim_end_matches(":1"), folder.path(), None).await, Err(Error::Missing(..))));
}

#[tokio::test]
async fn a_registry_leads_nowhere_without_tls_but_to_this_host() {
    let folder = tempfile::tempdir().unwrap();
    let (_, reference) = served(Shelf { redirect: Some("http://192.0.2.1/x".to_owned()), ..stocked() }).await;
    let refused = pulled(&reference, folder.path(), None).await.unwrap_err();
    let Error::Reach(_, cause) = &refused else { panic!("{refused}") };
    assert!(cause.is_redirect(), "{cause:?}");
}

#[test]
fn a_challenge_is_taken_apart() {
    let challenge = r#"realm="https://auth.example/token", service="us",scope="repository:a/b:pull,push""#;
    assert_eq!(parameter(challenge, "realm").as_deref(), Some("https://auth.example/token"));
    assert_eq!(parameter(challenge, "Scope").as_deref(), Some("repository:a/b:pull,push"));
    assert_eq!(parameter(challenge, "service").as_deref(), Some("us"));
    assert_eq!(parameter(challenge, "error"), None);
}
