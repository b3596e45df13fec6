//! Which stacks are installed, and who depends on them; `slipway stack list`.
//!
//! The store is read as the user that owns it, beside control, as `slipway users` does.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;
use store::seal::SealKey;
use store::{Database, Store};
use vocabulary::{AppName, Stack};

use crate::layout::Layout;
use crate::printer;
use crate::settings::{Mistakes, Place, Settings};
use crate::supervisor::of_install;
use crate::users::Users;

/// What the record is sealed with; made with it.
const KEY: &str = "keys/seal.key";
/// How many apps are named before the rest is counted.
const NAMED: usize = 8;

/// `slipway stack list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
}

/// Where an install's record is.
pub(super) struct Record {
    /// The data folder.
    pub(super) data: PathBuf,
    named: Option<Database>,
}

impl Record {
    pub(super) fn of((data, named): (PathBuf, Option<Database>)) -> Self {
        Self { data, named }
    }

    pub(super) fn of_settings(settings: &Settings) -> Self {
        // What is no database was refused when the settings were read.
        let named = settings.database_url.as_ref().and_then(|url| url.reveal().parse().ok());
        Self { data: settings.data.clone(), named }
    }
}

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] Mistakes),
    /// The data folder.
    #[error("could not open the platform's data folder")]
    Folder(#[source] io::Error),
    /// The store.
    #[error("could not read which apps use a stack")]
    Store(#[from] store::Error),
}

/// Who depends on a stack.
#[derive(Debug, Default)]
pub(crate) struct Use {
    pub(crate) apps: Vec<AppName>,
}

/// One installed image.
#[derive(Debug)]
struct Image {
    origin: String,
    buildpacks: String,
}

/// Runs the command.
pub(super) fn run(list: &List) -> Result<(), Error> {
    let record = Record::of(list.place.settle()?);
    let images = images(&record.data).map_err(Error::Folder)?;
    let mut stacks: Vec<Stack> = Stack::KNOWN.to_vec();
    stacks.extend(images.keys().filter_map(|name| name.parse().ok()).filter(|stack| !Stack::KNOWN.contains(stack)));
    let all: Vec<Stack> = stacks.clone();
    let mut used = with_store(&record, async move |store| {
        // One that apps depend on and that is gone is told as well.
        let mut used = BTreeMap::new();
        for stack in all.into_iter().chain(store::stacks::in_use(&store).await?) {
            used.insert(stack, store::stacks::apps_on(&store, stack).await?);
        }
        Ok(used)
    })?
    .unwrap_or_default();
    stacks.extend(used.keys().filter(|stack| !stacks.contains(stack)).copied().collect::<Vec<_>>());
    let mut rows = vec![["STACK".to_owned(), "BUILDPACKS SEE".to_owned(), "APPS".to_owned(), "PROVIDED BY".to_owned()]];
    for stack in stacks {
        let image = images.get(stack.name()).or_else(|| images.get(stack.stand_in()?));
        let apps = used.remove(&stack).unwrap_or_default().len().to_string();
        let (sees, origin) = image.map_or(("-", "nothing: import it, or `slipway stack build`"), |image| {
            (image.buildpacks.as_str(), image.origin.as_str())
        });
        rows.push([stack.to_string(), sees.to_owned(), apps, origin.to_owned()]);
    }
    let widest = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths = [widest(0), widest(1), widest(2)];
    for [name, sees, apps, origin] in &rows {
        printer::say(format!(
            "{name:w0$}  {sees:w1$}  {apps:>w2$}  {origin}",
            w0 = widths[0],
            w1 = widths[1],
            w2 = widths[2]
        ));
    }
    Ok(())
}

/// The apps that depend on a stack; none before the platform was ever up.
pub(super) fn used(record: &Record, stack: Stack) -> Result<Use, Error> {
    let apps = with_store(record, async move |store| store::stacks::apps_on(&store, stack).await)?;
    Ok(Use { apps: apps.unwrap_or_default() })
}

/// Forgets the build caches on a stack.
pub(super) fn forget_caches(record: &Record, stack: Stack) -> Result<(), Error> {
    with_store(record, async move |store| {
        let mut write = store.write().await?;
        store::stacks::forget_caches(&mut write, stack).await?;
        write.commit().await
    })?;
    Ok(())
}

/// The names of apps for a sentence.
pub(super) fn told(apps: &[AppName]) -> String {
    let named: Vec<&str> = apps.iter().take(NAMED).map(AppName::as_str).collect();
    match apps.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The installed images by name; what an import is making is none.
fn images(data: &Path) -> io::Result<BTreeMap<String, Image>> {
    let mut images = BTreeMap::new();
    let entries = match fs::read_dir(data.join("stacks")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(images),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(text) = fs::read(entry.path().join("manifest.json")) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let own = format!("{name}, built here from Debian packages");
        let origin = manifest["origin"].as_str().map_or(own, str::to_owned);
        let buildpacks = manifest["buildpacks"].as_str().unwrap_or(Stack::default().name()).to_owned();
        images.insert(name, Image { origin, buildpacks });
    }
    Ok(images)
}

/// Does something with the store, as the user that owns it; nothing if there is no store yet.
fn with_store<T: Send + 'static, F: Future<Output = Result<T, store::Error>>>(
    record: &Record,
    work: impl FnOnce(Store) -> F + Send,
) -> Result<Option<T>, Error> {
    let Some(layout) = Layout::open(&record.data).map_err(Error::Folder)?.filter(|layout| layout.at(KEY).exists())
    else {
        return Ok(None);
    };
    // Known to root alone, so that it is looked up before.
    let database = of_install(record.named.clone(), &layout).map_err(Error::Folder)?;
    // Only that thread gives up being root: an import goes on as root.
    let worker = || {
        let owner = Users::find_control().and_then(crate::users::User::become_it);
        owner.map_err(Error::Folder)?;
        let key = SealKey::load(&layout.at(KEY)).map_err(Error::Folder)?;
        crate::block_on(async { Ok(work(Store::join_at(&database, key).await?).await?) })
    };
    let broke = |_| Err(Error::Folder(io::Error::other("the work broke off")));
    // Becoming a user narrows the mask of the whole process, not of that thread alone.
    let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let done = thread::scope(|scope| scope.spawn(worker).join().unwrap_or_else(broke)).map(Some);
    rustix::process::umask(mask);
    done
}
