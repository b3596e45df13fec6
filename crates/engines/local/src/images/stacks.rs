//! The installed stacks: which image answers to a name, and where it is mounted.
//!
//! ```text
//! stacks/NAME/run.sqfs            what dynos run on
//! stacks/NAME/build-delta.sqfs    of a stack made here: what the build image adds to the run image
//! stacks/NAME/build.sqfs          of an imported stack: the whole build image; a second name of run.sqfs if it is
//!                                 the same
//! stacks/NAME/manifest.json       what it was made from
//! ```
//!
//! The folder is read each time it is asked for, so that a stack is there as soon as it is in place, and after a
//! restart.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::str::FromStr;

use engine::{InstalledStack, Variant};
use sha2::{Digest as _, Sha256};
use vocabulary::{Digest, Stack};

use super::Error;
use super::mounts::Mounts;

/// What buildpacks take an image for that does not say: prebuilt programs for Ubuntu 24.04 run on Debian 13's newer
/// glibc (those for 26.04 need not).
const BUILDPACKS: &str = "heroku-24";

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Stacks(PathBuf);

/// One image file and its name as a mount: a stack that is made again is another file, and so another mount, and
/// running dynos keep the old one.
struct Form {
    file: PathBuf,
    inode: u64,
    mount: String,
}

impl Stacks {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The mounted folders of what provides the stack `name`, the topmost first.
    pub(super) fn layers(&self, name: &str, variant: Variant, mounts: &Mounts) -> Result<Vec<PathBuf>, Error> {
        let stand_in = Stack::from_str(name).ok().and_then(|stack| stack.stand_in());
        let forms = self.forms(name, variant).or_else(|| self.forms(stand_in?, variant));
        let forms = forms.ok_or_else(|| Error::NoStack(name.to_owned()))?;
        forms.iter().map(|form| mounts.mount(&form.mount, &form.file)).collect()
    }

    /// The stacks that have both forms, sorted.
    pub(super) fn list(&self) -> Vec<InstalledStack> {
        let entries = fs::read_dir(&self.0).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let whole = names.filter(|name| self.forms(name, Variant::Build).is_some());
        let mut stacks: Vec<_> = whole.map(|name| self.installed(name)).collect();
        stacks.sort_by(|one, other| one.name.cmp(&other.name));
        stacks
    }

    /// Whether a mount is of an image that is installed.
    pub(super) fn has_mount(&self, mount: &str) -> bool {
        let forms = |name: &str| self.forms(name, Variant::Build).into_iter().chain(self.forms(name, Variant::Run));
        self.list().iter().any(|stack| forms(&stack.name).flatten().any(|form| form.mount == mount))
    }

    /// The forms a variant consists of, the topmost first; nothing if the stack is not whole.
    fn forms(&self, name: &str, variant: Variant) -> Option<Vec<Form>> {
        let run = self.form(name, "run")?;
        let delta = self.form(name, "build-delta");
        let own = self.form(name, "build");
        match (variant, delta, own) {
            (_, None, None) => None,
            (Variant::Run, _, _) => Some(vec![run]),
            (Variant::Build, Some(delta), _) => Some(vec![delta, run]),
            // One mount of one file, so that it is in memory once.
            (Variant::Build, None, Some(build)) => Some(vec![if build.inode == run.inode { run } else { build }]),
        }
    }

    fn form(&self, name: &str, form: &str) -> Option<Form> {
        // The name comes from a request and becomes part of a path.
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            return None;
        }
        let file = self.0.join(name).join(format!("{form}.sqfs"));
        let inode = fs::metadata(&file).ok()?.ino();
        Some(Form { mount: format!("stack-{name}-{form}-{inode}"), file, inode })
    }

    fn installed(&self, name: String) -> InstalledStack {
        let manifest = fs::read(self.0.join(&name).join("manifest.json")).unwrap_or_default();
        let image = self.identity(&name, &manifest);
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap_or_default();
        let buildpacks = manifest["buildpacks"].as_str().unwrap_or(BUILDPACKS).to_owned();
        InstalledStack { name, buildpacks, image }
    }

    /// The manifest holds the digests of what it is about, so that hundreds of megabytes are not read for this. The
    /// lengths are for a manifest that was put beside other files.
    fn identity(&self, name: &str, manifest: &[u8]) -> Digest {
        let mut hash = Sha256::new_with_prefix(manifest);
        for form in ["run", "build-delta", "build"] {
            let about = fs::metadata(self.0.join(name).join(format!("{form}.sqfs")));
            hash.update(about.map_or(0, |about| about.len()).to_le_bytes());
        }
        Digest::from_bytes(&hash.finalize().into())
    }
}
