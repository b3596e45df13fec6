//! The tree that the layers of an image make together: each lies over those before it, and may hide or replace what
//! they brought (OCI image specification, "Image Layer Filesystem Changeset").
//!
//! Knows paths, whiteouts and links; knows nothing of tar. Paths go through the links of the tree itself, as they
//! would in the running system, and never out of it. No rule depends on the order of the entries of one layer.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;

use crate::images::tree::{Content, MAX_ENTRIES, Refused, TreePath};

/// A name that begins so hides the rest of the name in the layers below.
const WHITEOUT: &[u8] = b".wh.";
/// Hides everything the layers below have in its folder.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// How many links one path may go through; Linux's own limit.
const MAX_LINKS: usize = 40;
/// Ids from here on are nobody's: an instance has so many.
const IDS: u64 = 65_536;
const NOBODY: u64 = 65_534;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File(Content),
    Symlink(Vec<u8>),
}

/// A path's entry. Nothing in it gives rights: no setuid, no setgid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    /// Seconds since 1970.
    pub(super) modified: u64,
    /// The layer that brought it or something below it.
    layer: usize,
}

impl Entry {
    pub(super) fn new(kind: Kind, mode: u32, (uid, gid): (u64, u64), modified: u64) -> Self {
        // A sticky folder, such as /tmp, stays one.
        let allowed = if kind == Kind::Folder { 0o1777 } else { 0o777 };
        let known = |id: u64| if id < IDS { id } else { NOBODY };
        Self { mode: mode & allowed, uid: known(uid), gid: known(gid), modified, kind, layer: 0 }
    }

    /// A folder of root's.
    pub(super) fn folder() -> Self {
        Self::new(Kind::Folder, 0o755, (0, 0), crate::images::packer::MODIFIED)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Merged {
    entries: BTreeMap<TreePath, Entry>,
    layer: usize,
}

impl Merged {
    /// What comes from now on lies over what came before.
    pub(super) fn next_layer(&mut self) {
        self.layer += 1;
    }

    /// Takes an entry of a layer, which may be a mark that hides others.
    pub(super) fn take(&mut self, path: &TreePath, entry: Entry) -> Result<(), Refused> {
        let path = self.place(path)?;
        let Some((folder, name)) = split(&path)? else { return Ok(()) };
        if name == OPAQUE {
            self.hide_below(&folder);
            return Ok(());
        }
        match name.strip_prefix(WHITEOUT) {
            // What old layers of aufs kept for itself.
            Some(rest) if rest.starts_with(WHITEOUT) => Ok(()),
            Some(rest) => {
                let hidden = if folder.is_root() { rest.to_vec() } else { [bytes(&folder), rest].join(&b'/') };
                // `.wh...` would otherwise name the folder above.
                let hidden = TreePath::parse(&hidden)?;
                if hidden.parents().count() == path.parents().count() {
                    self.hide(&hidden);
                }
                Ok(())
            }
            None => self.put(path, entry),
        }
    }

    /// Makes `path` another name of the file at `target`.
    pub(super) fn link(&mut self, path: &TreePath, target: &TreePath) -> Result<(), Refused> {
        let dangling = || Refused::DanglingLink(shown(target));
        let found = self.place(target)?;
        let entry = self.entries.get(&found).filter(|entry| entry.kind != Kind::Folder).cloned();
        let path = self.place(path)?;
        self.put(path, entry.ok_or_else(dangling)?)
    }

    /// Puts an entry at exactly this path, a real folder for each part of the way.
    pub(super) fn put(&mut self, path: TreePath, mut entry: Entry) -> Result<(), Refused> {
        if path.is_root() {
            return Ok(());
        }
        entry.layer = self.layer;
        for parent in path.parents() {
            let layer = self.layer;
            match self.entries.get_mut(&parent) {
                Some(above) if above.kind == Kind::Folder => above.layer = layer,
                Some(_) => return Err(Refused::ThroughFile(shown(&path))),
                None => self.insert(parent, Entry { layer, ..Entry::folder() })?,
            }
        }
        if entry.kind != Kind::Folder && self.entries.get(&path).is_some_and(|old| old.kind == Kind::Folder) {
            self.remove(&path, |_| true);
        }
        self.insert(path, entry)
    }

    /// The entry at a path, through links; nothing if there is none.
    pub(super) fn find(&self, path: &str) -> Option<&Entry> {
        let path = TreePath::parse(path.trim_start_matches('/').as_bytes()).ok()?;
        self.entries.get(&self.resolve(&path, true).ok()?)
    }

    /// The entry at exactly this path.
    pub(super) fn at_mut(&mut self, path: &TreePath) -> Option<&mut Entry> {
        self.entries.get_mut(path)
    }

    /// Removes what is at exactly this path, and below.
    pub(super) fn clear(&mut self, path: &TreePath) {
        self.remove(path, |_| true);
    }

    /// Everything in it, folders before what is in them.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        self.entries.iter()
    }

    fn insert(&mut self, path: TreePath, entry: Entry) -> Result<(), Refused> {
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(&path) {
            return Err(Refused::TooMany);
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    fn hide(&mut self, path: &TreePath) {
        let layer = self.layer;
        self.remove(path, |entry| entry.layer < layer);
    }

    fn hide_below(&mut self, folder: &TreePath) {
        let layer = self.layer;
        self.remove_below(folder, |entry| entry.layer < layer);
    }

    fn remove(&mut self, path: &TreePath, which: impl Fn(&Entry) -> bool) {
        if self.entries.get(path).is_some_and(&which) {
            self.entries.remove(path);
        }
        self.remove_below(path, which);
    }

    fn remove_below(&mut self, folder: &TreePath, which: impl Fn(&Entry) -> bool) {
        let below: Vec<TreePath> =
            self.below(folder).filter(|(_, entry)| which(entry)).map(|(path, _)| path.clone()).collect();
        for path in &below {
            self.entries.remove(path);
        }
    }

    fn below(&self, folder: &TreePath) -> impl Iterator<Item = (&TreePath, &Entry)> {
        // In the order of bytes, `a/…` does not follow `a` directly (`a-b` is between), but it is in one piece.
        let prefix = if folder.is_root() { vec![] } else { [bytes(folder), b"/"].concat() };
        let behind = self.entries.range((Bound::Excluded(folder), Bound::Unbounded));
        let start = prefix.clone();
        behind
            .skip_while(move |(path, _)| bytes(path) < start.as_slice())
            .take_while(move |(path, _)| bytes(path).starts_with(&prefix))
    }

    /// Where an entry of this path really stands: its folder through the tree's links, its own name as it is.
    fn place(&self, path: &TreePath) -> Result<TreePath, Refused> {
        self.resolve(path, false)
    }

    fn resolve(&self, path: &TreePath, through_last: bool) -> Result<TreePath, Refused> {
        let mut todo: VecDeque<Vec<u8>> = names(bytes(path)).collect();
        let (mut at, mut links) = (TreePath::default(), 0);
        while let Some(name) = todo.pop_front() {
            if name == b".." {
                at = split(&at)?.map(|(folder, _)| folder).unwrap_or_default();
                continue;
            }
            let next = TreePath::parse(
                &[bytes(&at), &name].join(&b'/').into_iter().skip_while(|b| *b == b'/').collect::<Vec<_>>(),
            )?;
            let last = todo.is_empty();
            match self.entries.get(&next).map(|entry| &entry.kind) {
                Some(Kind::Symlink(text)) if !last || through_last => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Refused::ThroughFile(shown(path)));
                    }
                    if text.first() == Some(&b'/') {
                        at = TreePath::default();
                    }
                    let rest: Vec<Vec<u8>> = names(text).collect();
                    rest.into_iter().rev().for_each(|name| todo.push_front(name));
                }
                _ => at = next,
            }
        }
        Ok(at)
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".").map(<[u8]>::to_vec)
}

/// The folder a path stands in and its name there; nothing for the root.
fn split(path: &TreePath) -> Result<Option<(TreePath, Vec<u8>)>, Refused> {
    let mut names: Vec<Vec<u8>> = names(bytes(path)).collect();
    let Some(name) = names.pop() else { return Ok(None) };
    Ok(Some((TreePath::parse(&names.join(&b'/'))?, name)))
}

fn bytes(path: &TreePath) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn shown(path: &TreePath) -> String {
    String::from_utf8_lossy(bytes(path)).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    fn file(id: usize) -> Entry {
        Entry::new(Kind::File(Content { id, offset: 0, length: 0, executable: false }), 0o4755, (0, 70_000), 1)
    }

    fn symlink(text: &str) -> Entry {
        Entry::new(Kind::Symlink(text.as_bytes().to_vec()), 0o777, (0, 0), 1)
    }

    /// A tree of layers; an entry that ends in a slash is a folder, one with an arrow a link.
    fn tree(layers: &[&[&str]]) -> Result<Merged, Refused> {
        let mut merged = Merged::default();
        for (number, layer) in layers.iter().enumerate() {
            merged.next_layer();
            for text in *layer {
                match text.split_once(" -> ") {
                    Some((name, target)) => merged.take(&path(name), symlink(target))?,
                    None if text.ends_with('/') => merged.take(&path(text), Entry::folder())?,
                    None => merged.take(&path(text), file(number))?,
                }
            }
        }
        Ok(merged)
    }

    fn all(merged: &Merged) -> Vec<String> {
        merged.entries().map(|(path, _)| shown(path)).collect()
    }

    #[test]
    fn a_later_layer_replaces_and_adds() {
        let merged = tree(&[&["a/x", "b", "c/d/e"], &["a/y", "b/z", "c"]]);
        assert_eq!(merged.unwrap_err(), Refused::ThroughFile("b/z".to_owned()), "b is a file");
        let merged = tree(&[&["a/x", "c/d/e", "c-1"], &["a/y", "a/x", "c"]]).unwrap();
        assert_eq!(all(&merged), ["a", "a/x", "a/y", "c", "c-1"]);
        assert!(matches!(merged.find("a/x").unwrap().kind, Kind::File(Content { id: 1, .. })));
    }

    #[test]
    fn a_whiteout_hides_what_lies_below_its_layer_and_nothing_of_its_own() {
        for second in [&["d/.wh.x", "d/y/new", ".wh.e"][..], &[".wh.e", "d/y/new", "d/.wh.x"]] {
            let merged = tree(&[&["d/x/deep", "d/y/old", "e", "d/x-1"], second]).unwrap();
            assert_eq!(all(&merged), ["d", "d/x-1", "d/y", "d/y/new", "d/y/old"], "{second:?}");
        }
        for second in [&[".wh.d", "d/new"][..], &["d/new", ".wh.d"]] {
            let merged = tree(&[&["d/old", "d-1"], second]).unwrap();
            assert_eq!(all(&merged), ["d", "d-1", "d/new"], "{second:?}");
        }
    }

    #[test]
    fn an_opaque_folder_hides_everything_below_its_layer() {
        for second in [&["d/.wh..wh..opq", "d/new"][..], &["d/new", "d/.wh..wh..opq"]] {
            let merged = tree(&[&["d/old/a", "d/b", "d-1", "e"], second]).unwrap();
            assert_eq!(all(&merged), ["d", "d-1", "d/new", "e"], "{second:?}");
        }
        let merged = tree(&[&["a", "b/c"], &[".wh..wh..opq", "z"]]).unwrap();
        assert_eq!(all(&merged), ["z"]);
    }

    #[test]
    fn strange_whiteouts_hide_nothing_else() {
        let merged = tree(&[&["a/b", "c"], &["a/.wh.", "a/.wh..", "a/.wh..wh.plnk", "x/.wh.gone"]]).unwrap();
        assert_eq!(all(&merged), ["a", "a/b", "c"]);
        assert!(tree(&[&["a/b"], &["a/.wh..."]]).is_err(), "it would hide the folder above");
    }

    #[test]
    fn a_path_goes_through_links_of_the_tree_and_never_out_of_it() {
        let merged = tree(&[
            &["usr/lib/", "lib -> usr/lib", "up -> ../../../../etc", "abs -> /usr/lib", "etc/"],
            &["lib/a", "up/passwd", "abs/b", "lib/.wh.none"],
        ]);
        let merged = merged.unwrap();
        for name in ["usr/lib/a", "etc/passwd", "usr/lib/b"] {
            assert!(all(&merged).contains(&name.to_owned()), "{name} in {:?}", all(&merged));
        }
        assert!(merged.find("/lib/a").is_some() && merged.find("lib").is_some_and(|e| e.kind == Kind::Folder));
        assert!(tree(&[&["a -> b", "b -> a", "a/x"]]).is_err());
    }

    #[test]
    fn a_hard_link_reaches_into_lower_layers_and_no_folder() {
        let mut merged = tree(&[&["usr/bin/a", "bin -> usr/bin"], &["other"]]).unwrap();
        merged.link(&path("b"), &path("bin/a")).unwrap();
        assert_eq!(merged.find("b").map(|e| &e.kind), merged.find("usr/bin/a").map(|e| &e.kind));
        assert!(merged.link(&path("c"), &path("usr")).is_err());
        assert!(merged.link(&path("c"), &path("missing")).is_err());
    }

    #[test]
    fn nothing_gives_rights_and_owners_fit_an_instance() {
        let merged = tree(&[&["su"]]).unwrap();
        let su = merged.find("su").unwrap();
        assert_eq!((su.mode, su.uid, su.gid), (0o755, 0, 65_534));
        assert_eq!(Entry::new(Kind::Folder, 0o41777, (0, 0), 0).mode, 0o1777);
    }
}
