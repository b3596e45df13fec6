//! Images go when nobody needs them, and never from under an instance.

use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use engine::{Discarded, Error, InstanceSpec, Refusal};
use vocabulary::{AppId, Digest};

use crate::fixture::{Fixture, entries, shell, spec, until};

/// A layer with one file, `/app/file`; its blob, to import it from.
async fn layer(fixture: &Fixture, text: &str) -> (Digest, std::fs::File) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", text.as_bytes()).unwrap();
    let mut source = tempfile::tempfile().unwrap();
    source.write_all(&tar.into_inner().unwrap()).unwrap();
    source.rewind().unwrap();
    let blob = tempfile::tempfile().unwrap();
    let copy = OwnedFd::from(blob.try_clone().unwrap());
    let packed = fixture.engine.pack("/app", 1 << 20, source.into(), copy).await.unwrap();
    (packed.digest, blob)
}

fn spec_with(layer: &Digest) -> InstanceSpec {
    let mut spec = spec();
    spec.image.layers = vec![layer.clone()];
    spec
}

/// The images of this engine that a loop device holds.
fn attached(fixture: &Fixture) -> Vec<String> {
    let folder = fixture.data().join("images").display().to_string();
    let devices = entries(std::path::Path::new("/sys/block")).into_iter();
    let files = devices.filter_map(|device| std::fs::read_to_string(device.join("loop/backing_file")).ok());
    files.filter(|file| file.starts_with(&folder)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_an_instance_stays_and_goes_after_it_with_mount_and_loop_device() {
    let mut fixture = Fixture::new().await;
    let (used, _) = layer(&fixture, "used").await;
    let (unused, _) = layer(&fixture, "unused").await;
    let id = fixture.start_as(spec_with(&used), "trap 'cat /app/file; exit 0' TERM; echo up; sleep 600 & wait").await;
    fixture.first_line(id).await;
    let both = vec![used.clone(), unused.clone()];
    let discarded = fixture.engine.discard(both.clone()).await.unwrap();
    assert_eq!((discarded.images, discarded.in_use), (1, 1));
    assert!(discarded.bytes > 0);
    assert_eq!(fixture.engine.layers(None).await.unwrap(), std::slice::from_ref(&used));
    fixture.engine.stop(id, Duration::from_secs(10)).await.unwrap();
    assert_eq!(fixture.exit(id).await.status, 0);
    let lines: Vec<String> = fixture.output(id).await.into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["up", "used"], "it read its layer after the collection");
    // It ended, but until it is removed it may still be asked about.
    assert_eq!(fixture.engine.discard(both.clone()).await.unwrap().in_use, 1);
    fixture.engine.remove(id).await.unwrap();
    assert_eq!(fixture.engine.discard(both.clone()).await.unwrap().images, 1);
    until("no loop device", || attached(&fixture).is_empty()).await;
    assert!(!fixture.folder.path().join("mounts").join(used.as_str()).exists());
    assert!(fixture.engine.layers(None).await.unwrap().is_empty());
    assert_eq!(fixture.engine.discard(both).await.unwrap(), Discarded::default(), "it may be repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_image_an_instance_is_refused_and_starts_under_the_same_id_once_it_is_imported() {
    let mut fixture = Fixture::new().await;
    let (digest, mut blob) = layer(&fixture, "back again").await;
    fixture.engine.discard(vec![digest.clone()]).await.unwrap();
    let spec = spec_with(&digest);
    let id = spec.id;
    let refused = fixture.engine.start(spec.clone(), &shell("cat /app/file"), vec![]).await;
    assert!(matches!(refused, Err(Error::Refused(Refusal::NotFound(_)))), "{refused:?}");
    assert!(fixture.traces().is_empty(), "{:?}", fixture.traces());
    blob.rewind().unwrap();
    fixture.engine.import(digest, blob.into()).await.unwrap();
    fixture.start_as(spec, "cat /app/file").await;
    assert_eq!(fixture.exit(id).await.status, 0);
    assert_eq!(fixture.output(id).await[0].1, "back again");
    fixture.engine.remove(id).await.unwrap();
    until("no trace", || fixture.traces().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_listed_in_order_and_from_any_point() {
    let fixture = Fixture::new().await;
    let mut layers = vec![layer(&fixture, "1").await.0, layer(&fixture, "2").await.0, layer(&fixture, "3").await.0];
    layers.sort();
    assert_eq!(fixture.engine.layers(None).await.unwrap(), layers);
    assert_eq!(fixture.engine.layers(Some(layers[0].clone())).await.unwrap(), layers[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_are_listed_and_tidied() {
    let fixture = Fixture::new().await;
    let app = AppId::new();
    fixture.engine.create_repository(app).await.unwrap();
    assert_eq!(fixture.engine.repositories().await.unwrap(), [app]);
    fixture.engine.tidy_repository(app).await.unwrap();
    fixture.engine.remove_repository(app).await.unwrap();
    assert!(fixture.engine.repositories().await.unwrap().is_empty());
    fixture.engine.tidy_repository(app).await.unwrap();
}
