//! Finds the file for a path: itself, its folder's `index.html`, a clean URL, a route, or the error page.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::config::Config;
use crate::target::{Target, encode};

/// An open root and how it is served.
#[derive(Debug)]
pub(crate) struct Site {
    root: OwnedFd,
    config: Config,
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file with its path, which tells its type.
    File(File, String),
    /// The same thing has another address.
    Moved(String),
    /// Nothing; with the error page if there is one.
    Missing(Option<(File, String)>),
}

impl Site {
    /// Opens the root of the app in `app`.
    pub(crate) fn open(app: &Path, config: Config) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
        let root = rustix::fs::openat(CWD, app.join(&config.root), flags, Mode::empty())?;
        Ok(Self { root, config })
    }

    /// Looks a path up.
    pub(crate) fn find(&self, target: Option<&Target>) -> io::Result<Found> {
        let Some(target) = target.filter(|target| !self.is_configuration(&target.path)) else {
            return self.missing();
        };
        if let Some(found) = self.clean(target)? {
            return Ok(found);
        }
        if let Some(found) = self.plain(target)? {
            return Ok(found);
        }
        if let Some(path) = self.config.route(&format!("/{}", target.path))
            && let Some(file) = self.file(path)?
        {
            return Ok(Found::File(file, path.to_owned()));
        }
        self.missing()
    }

    fn plain(&self, target: &Target) -> io::Result<Option<Found>> {
        let index =
            if target.path.is_empty() { "index.html".to_owned() } else { format!("{}/index.html", target.path) };
        if target.folder {
            return Ok(self.file(&index)?.map(|file| Found::File(file, index)));
        }
        if let Some(file) = self.file(&target.path)? {
            return Ok(Some(Found::File(file, target.path.clone())));
        }
        // A folder's address ends with a slash, so that relative links in its page work.
        Ok(self.file(&index)?.map(|_| Found::Moved(format!("/{}/{}", encode(&target.path), target.query))))
    }

    /// With `clean_urls`: `/about` is `about.html`, and `/about.html` moves to `/about`.
    fn clean(&self, target: &Target) -> io::Result<Option<Found>> {
        if !self.config.clean_urls || target.path.is_empty() {
            return Ok(None);
        }
        if let Some(short) = target.path.strip_suffix(".html").filter(|_| !target.folder) {
            let short = if short == "index" { "" } else { short.strip_suffix("/index").unwrap_or(short) };
            let exists = self.file(&target.path)?.is_some();
            return Ok(exists.then(|| Found::Moved(format!("/{}{}", encode(short), target.query))));
        }
        let page = format!("{}.html", target.path);
        Ok(self.file(&page)?.map(|file| Found::File(file, page)))
    }

    fn missing(&self) -> io::Result<Found> {
        let Some(path) = self.config.error_page.as_deref().map(|path| path.trim_start_matches('/')) else {
            return Ok(Found::Missing(None));
        };
        Ok(Found::Missing(self.file(path)?.map(|file| (file, path.to_owned()))))
    }

    fn is_configuration(&self, path: &str) -> bool {
        self.config.serves_the_app_folder() && ["Procfile", "static.json", "app.json"].contains(&path)
    }

    /// Opens a regular file below the root. The kernel resolves it: links may point to other files below the root, and
    /// anything that leads out, also while it is being renamed, is no file of the site.
    fn file(&self, path: &str) -> io::Result<Option<File>> {
        use rustix::io::Errno;
        // Non-blocking: opening a pipe that lies there must not hang.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve) {
            Ok(file) => {
                let file = File::from(file);
                Ok(file.metadata()?.is_file().then_some(file))
            }
            Err(
                Errno::NOENT
                | Errno::NOTDIR
                | Errno::XDEV
                | Errno::LOOP
                | Errno::ACCESS
                | Errno::NAMETOOLONG
                | Errno::NXIO,
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
