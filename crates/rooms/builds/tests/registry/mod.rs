//! A small npm registry on loopback.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use sha2::{Digest as _, Sha512};

#[derive(Debug, Clone)]
pub(crate) struct Registry {
    pub(crate) url: String,
    pub(crate) tarballs_given: Arc<AtomicUsize>,
}

#[derive(Debug, Clone)]
struct Shelf {
    packages: Arc<BTreeMap<String, String>>,
    tarballs: Arc<BTreeMap<String, Vec<u8>>>,
    given: Arc<AtomicUsize>,
}

/// A package: name, version, the range of Node it runs on, files, and whether its announced digest is a lie.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) node: Option<&'static str>,
    pub(crate) files: &'static [(&'static str, u32)],
    pub(crate) lies: bool,
}

impl Registry {
    pub(crate) async fn serve(packages: &[Package]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut versions: BTreeMap<String, serde_json::Map<String, serde_json::Value>> = BTreeMap::new();
        let mut tarballs = BTreeMap::new();
        for package in packages {
            let tgz = tarball(package.files);
            let file = format!("{}-{}.tgz", package.name, package.version);
            let digest = if package.lies { Sha512::digest(b"a lie") } else { Sha512::digest(&tgz) };
            let integrity = format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(digest));
            let engines = package.node.map(|node| serde_json::json!({ "node": node }));
            let entry = serde_json::json!({
                "dist": { "tarball": format!("{url}/tarballs/{file}"), "integrity": integrity }, "engines": engines,
            });
            versions.entry(package.name.to_owned()).or_default().insert(package.version.to_owned(), entry);
            tarballs.insert(file, tgz);
        }
        let documents = versions
            .into_iter()
            .map(|(name, versions)| (name, serde_json::json!({ "versions": versions }).to_string()))
            .collect();
        let given = Arc::new(AtomicUsize::new(0));
        let shelf = Shelf { packages: Arc::new(documents), tarballs: Arc::new(tarballs), given: Arc::clone(&given) };
        let router = Router::new()
            .route("/{package}", get(document))
            .route("/tarballs/{file}", get(tarball_of))
            .with_state(shelf);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, tarballs_given: given }
    }

    pub(crate) fn given(&self) -> usize {
        self.tarballs_given.load(Ordering::SeqCst)
    }
}

async fn document(State(shelf): State<Shelf>, Path(package): Path<String>) -> Response {
    match shelf.packages.get(&package) {
        Some(document) => document.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn tarball_of(State(shelf): State<Shelf>, Path(file): Path<String>) -> Response {
    shelf.given.fetch_add(1, Ordering::SeqCst);
    match shelf.tarballs.get(&file) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn tarball(files: &[(&str, u32)]) -> Vec<u8> {
    let zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(zip);
    for (path, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_size(path.len() as u64);
        tar.append_data(&mut header, path, path.as_bytes()).unwrap();
    }
    let mut zip = tar.into_inner().unwrap();
    zip.flush().unwrap();
    zip.finish().unwrap()
}
