//! A registry of images: it speaks the pull part of the distribution API with token authentication, as Docker Hub does,
//! which tests cannot reach.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::Failure;

const TOKEN: &str = "let-me-pull";

/// A layer: its tar as it is, and as it is stored.
#[derive(Debug)]
pub struct Layer {
    /// The tar.
    pub tar: Vec<u8>,
    /// The same, packed by gzip or zstd.
    pub packed: Vec<u8>,
}

/// A registry with one image; it runs until the program ends.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    /// `sha256:…` of the image's manifest.
    pub digest: String,
}

impl Registry {
    /// Serves an image of these layers for linux/amd64 as `team/system:1`.
    pub fn serve(layers: &[Layer]) -> Result<Self, Failure> {
        let mut shelf = BTreeMap::new();
        let mut put = |kind: &str, bytes: &[u8]| {
            let digest = digest(bytes);
            shelf.insert(format!("/v2/team/system/{kind}/{digest}"), bytes.to_vec());
            json!({"digest": digest, "size": bytes.len()})
        };
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(&layer.tar)).collect();
        let config = json!({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/usr/bin"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = put("blobs", config.to_string().as_bytes());
        let mut described = Vec::new();
        for layer in layers {
            let mut blob = put("blobs", &layer.packed);
            blob["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip");
            described.push(blob);
        }
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": described}).to_string();
        let mut manifest = put("manifests", manifest.as_bytes());
        manifest["mediaType"] = json!(kind);
        manifest["platform"] = json!({"os": "linux", "architecture": "amd64"});
        let digest = manifest["digest"].as_str().unwrap_or_default().to_owned();
        let list = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
        shelf.insert("/v2/team/system/manifests/1".to_owned(), list.into_bytes());
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shelf = Arc::new(shelf);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shelf = Arc::clone(&shelf);
                // A client that goes away is no failure of the registry.
                thread::spawn(move || answer(&stream, &shelf, address).ok());
            }
        });
        Ok(Self { address, digest })
    }

    /// What the image is called.
    pub fn reference(&self) -> String {
        format!("http://{}/team/system:1", self.address)
    }
}

fn answer(mut stream: &TcpStream, shelf: &BTreeMap<String, Vec<u8>>, address: SocketAddr) -> std::io::Result<()> {
    let (mut path, mut authorized) = (String::new(), false);
    for line in BufReader::new(stream).lines() {
        let line = line?;
        match line.strip_prefix("GET ") {
            Some(rest) => rest.split(' ').next().unwrap_or_default().clone_into(&mut path),
            None if line.is_empty() => break,
            None => authorized |= line.eq_ignore_ascii_case(&format!("authorization: Bearer {TOKEN}")),
        }
    }
    let challenge = format!(
        "www-authenticate: Bearer realm=\"http://{address}/token\",service=\"tests\",scope=\"repository:team/system:pull\"\r\n"
    );
    let token = json!({"token": TOKEN}).to_string().into_bytes();
    let empty = Vec::new();
    let (status, header, body) = match shelf.get(&path) {
        _ if path.starts_with("/token?") => ("200 OK", "", &token),
        _ if !authorized => ("401 Unauthorized", challenge.as_str(), &empty),
        Some(bytes) => ("200 OK", "", bytes),
        None => ("404 Not Found", "", &empty),
    };
    write!(stream, "HTTP/1.1 {status}\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
