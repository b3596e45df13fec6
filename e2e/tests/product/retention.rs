//! Disks do not fill: what is no longer kept goes, and nothing that runs notices.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::{Client, Failure, Load, Platform, ensure};

/// Node and npm: what the example runs on, shared by all apps that ask for the same.
const RUNTIMES: usize = 2;
/// A pass is made within seconds, and once more until the last dyno has stopped.
const PATIENCE: Duration = Duration::from_mins(2);

pub fn disks_do_not_fill(_: &Client) -> Result<(), Failure> {
    let platform = Platform::start_with(&["--keep-releases", "2", "--keep-days", "0"])?;
    let client = Client::new(&platform)?;
    let repository = client.repository("hello")?;
    let app = repository.create()?;
    repository.push()?.good()?;
    let load = Load::start(client.address(), &format!("{app}.localhost"));
    for version in 2..=6 {
        repository.write("VERSION", &format!("{version}\n"))?;
        repository.commit("another version")?;
        repository.push()?.good()?;
    }
    // Of six slugs two are left: v8 is current, v7 is one of the newest two.
    settles(&platform, "six deploys", |kept| kept.blobs == RUNTIMES + 2 && kept.images == RUNTIMES + 2)?;
    let refused = repository.heroku(&["rollback", "v3"])?.bad()?;
    ensure!(refused.stderr.contains("that release is expired"), "{}", refused.both());
    let info = repository.heroku(&["releases:info", "v3", "--json"])?.good()?;
    ensure!(info.stdout.contains("\"expired\""), "{}", info.stdout);
    repository.heroku(&["rollback", "v7"])?.good()?;
    client.get_until(&app, "/", |response| response.text().contains("\"version\": \"5\""))?;
    let report = load.finish();
    ensure!(
        report.failed.is_empty(),
        "{} of {} requests failed: {:?}",
        report.failed.len(),
        report.good,
        report.failed
    );

    repository.heroku(&["apps:destroy", "--app", &app, "--confirm", &app])?.good()?;
    settles(&platform, "the app's end", |kept| {
        let runtimes = kept.blobs == RUNTIMES && kept.images == RUNTIMES && kept.mounted <= RUNTIMES;
        runtimes && kept.of_the_app == 0
    })?;
    let violations = platform.witness().violations();
    ensure!(violations.is_empty(), "{violations:?}");
    Ok(())
}

/// What the data folder holds, in files and folders.
#[derive(Debug)]
struct Kept {
    blobs: usize,
    images: usize,
    /// Images that a loop device holds.
    mounted: usize,
    /// Outputs, repositories, logs, and folders of instances.
    of_the_app: usize,
}

impl Kept {
    fn look(data: &Path) -> Self {
        let blobs = names(&data.join("blobs")).into_iter().filter(|name| name.len() == 2);
        let images = data.join("images").display().to_string();
        let devices = names(Path::new("/sys/block")).into_iter();
        let files = devices.filter_map(|device| {
            fs::read_to_string(Path::new("/sys/block").join(device).join("loop/backing_file")).ok()
        });
        Self {
            blobs: blobs.map(|name| names(&data.join("blobs").join(name)).len()).sum(),
            images: names(&data.join("images")).len(),
            mounted: files.filter(|file| file.starts_with(&images)).count(),
            of_the_app: ["outputs", "git", "logs", "dynos"].map(|folder| names(&data.join(folder)).len()).iter().sum(),
        }
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn settles(platform: &Platform, after: &str, is_it: impl Fn(&Kept) -> bool) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let kept = Kept::look(&platform.data());
        if is_it(&kept) {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "after {after} it keeps {kept:?}:\n{}", platform.log_tail());
        std::thread::sleep(Duration::from_millis(200));
    }
}
