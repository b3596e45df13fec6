//! The platforms this user trusts: `CONFIG/slipway/platforms/HOST_PORT/`.
//!
//! ```text
//! ca.pem      the authority, pinned: what the platform shows must be signed by exactly this one
//! url         the platform's address
//! listen      where the last agent listened, for `slipway connect env`
//! bundle.pem  the authority, this machine's and what the user's tools trusted before; made by `slipway connect env`
//! ```

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::Error;
use super::url::PlatformUrl;

/// One platform's folder.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    folder: PathBuf,
}

impl Known {
    /// The folder of a platform, which may not exist yet.
    pub(crate) fn of(url: &PlatformUrl) -> Result<Self, Error> {
        Ok(Self { folder: platforms()?.join(url.folder()) })
    }

    /// The one platform there is.
    pub(crate) fn only() -> Result<Self, Error> {
        let entries = fs::read_dir(platforms()?).into_iter().flatten().flatten();
        let mut all: Vec<Self> = entries.map(|entry| Self { folder: entry.path() }).filter(Self::is_there).collect();
        match (all.pop(), all.is_empty()) {
            (None, _) => Err(Error::NonePlatform),
            (Some(one), true) => Ok(one),
            (Some(one), false) => {
                all.push(one);
                let urls: Vec<String> = all.iter().filter_map(|one| one.read("url").ok()).collect();
                Err(Error::Several(urls.join(" | ")))
            }
        }
    }

    fn is_there(&self) -> bool {
        self.file("ca.pem").exists() && self.file("listen").exists()
    }

    /// The trusted authority, if there is one.
    pub(crate) fn authority(&self) -> Result<Option<CertificateDer<'static>>, Error> {
        let path = self.file("ca.pem");
        match fs::read(&path) {
            Ok(text) => CertificateDer::from_pem_slice(&text).map(Some).map_err(|_| Error::Broken(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::File(path, error)),
        }
    }

    /// Trusts an authority from now on.
    pub(crate) fn trust(&self, url: &PlatformUrl, authority: &CertificateDer<'_>) -> Result<(), Error> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|error| Error::File(self.folder.clone(), error))?;
        self.write("url", &url.to_string())?;
        self.write("ca.pem", &pem(authority))
    }

    /// Remembers where the agent listens.
    pub(crate) fn listens(&self, address: SocketAddr) -> Result<(), Error> {
        self.write("listen", &address.to_string())
    }

    /// Where the last agent listened.
    pub(crate) fn listening(&self) -> Result<SocketAddr, Error> {
        let path = self.file("listen");
        let text = self.read("listen")?;
        text.trim().parse().map_err(|_| Error::Broken(path))
    }

    /// The text of a file.
    pub(crate) fn read(&self, name: &str) -> Result<String, Error> {
        let path = self.file(name);
        fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NonePlatform,
            _ => Error::File(path, error),
        })
    }

    /// Writes a file, which appears whole.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.file(name);
        let written = write_whole(&path, text);
        written.map_err(|error| Error::File(path, error))
    }

    /// The path of a file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn platforms() -> Result<PathBuf, Error> {
    Ok(crate::settings::user_folder().ok_or(Error::NoFolder)?.join("platforms"))
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    fs::rename(new, path)
}

/// A certificate as a text (RFC 7468).
fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_read_as_it_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let known = Known { folder: folder.path().join("new/one") };
        assert!(known.authority().unwrap().is_none());
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let url = "https://a.example".parse().unwrap();
        known.trust(&url, made.cert.der()).unwrap();
        assert_eq!(known.authority().unwrap().as_ref(), Some(made.cert.der()));
        fs::write(known.file("ca.pem"), "nonsense").unwrap();
        assert!(matches!(known.authority(), Err(Error::Broken(_))));
    }
}
