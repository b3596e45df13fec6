//! The tree that the layers of an image make together: each lies over those before it, and may hide or replace what
//! they brought (OCI image specification, "Image Layer Filesystem Changeset").
//!
//! Knows paths, whiteouts and links; knows nothing of tar. Paths go through the links of the tree itself, as they
//! would in the running system, and never out of it. What a whiteout hides does not depend on where in its layer it stands.
//!
//! What the layer at hand brought is kept apart from what lies below it, which is all that a mark can hide: so each
//! entry is looked at by at most one mark, however many marks name the same folder.

use std::collections::{BTreeMap, VecDeque};
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
}

impl Entry {
    pub(super) fn new(kind: Kind, mode: u32, (uid, gid): (u64, u64), modified: u64) -> Self {
        // A sticky folder, such as /tmp, stays one.
        let allowed = if kind == Kind::Folder { 0o1777 } else { 0o777 };
        let known = |id: u64| if id < IDS { id } else { NOBODY };
        Self { mode: mode & allowed, uid: known(uid), gid: known(gid), modified, kind }
    }

    /// A folder of root's.
    pub(super) fn folder() -> Self {
        Self::new(Kind::Folder, 0o755, (0, 0), crate::images::packer::MODIFIED)
    }
}

/// See the module. A path is in one of the two at most.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// What the layer at hand brought, and the folders above that.
    own: BTreeMap<TreePath, Entry>,
    /// What the layers below it brought.
    lower: BTreeMap<TreePath, Entry>,
    /// Marks of all layers. They stay in no tree, so nothing else bounds them.
    marks: usize,
}

impl Merged {
    /// What comes from now on lies over what came before.
    pub(super) fn next_layer(&mut self) {
        let own = std::mem::take(&mut self.own);
        if self.lower.is_empty() {
            self.lower = own;
        } else {
            self.lower.extend(own);
        }
    }

    /// Takes an entry of a layer, which may be a mark that hides others.
    pub(super) fn take(&mut self, path: &TreePath, entry: Entry) -> Result<(), Refused> {
        let path = self.place(path)?;
        let Some((folder, name)) = split(&path)? else { return Ok(()) };
        if name.starts_with(WHITEOUT) {
            self.marks += 1;
            if self.marks > MAX_ENTRIES {
                return Err(Refused::TooMany);
            }
        }
        if name == OPAQUE {
            remove_below(&mut self.lower, &folder);
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
                    self.lower.remove(&hidden);
                    remove_below(&mut self.lower, &hidden);
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
        let entry = self.get(&found).filter(|entry| entry.kind != Kind::Folder).cloned();
        let path = self.place(path)?;
        self.put(path, entry.ok_or_else(dangling)?)
    }

    /// Puts an entry at exactly this path, a real folder for each part of the way.
    pub(super) fn put(&mut self, path: TreePath, entry: Entry) -> Result<(), Refused> {
        if path.is_root() {
            return Ok(());
        }
        for parent in path.parents() {
            match self.own.get(&parent).or_else(|| self.lower.get(&parent)) {
                Some(above) if above.kind == Kind::Folder => self.raise(&parent),
                Some(_) => return Err(Refused::ThroughFile(shown(&path))),
                None => self.insert(parent, Entry::folder())?,
            }
        }
        if entry.kind != Kind::Folder && self.get(&path).is_some_and(|old| old.kind == Kind::Folder) {
            self.clear(&path);
        }
        self.insert(path, entry)
    }

    /// The entry at a path, through links; nothing if there is none.
    pub(super) fn find(&self, path: &str) -> Option<&Entry> {
        let path = TreePath::parse(path.trim_start_matches('/').as_bytes()).ok()?;
        self.get(&self.resolve(&path, true).ok()?)
    }

    /// The entry at exactly this path.
    pub(super) fn at_mut(&mut self, path: &TreePath) -> Option<&mut Entry> {
        self.own.get_mut(path).or_else(|| self.lower.get_mut(path))
    }

    /// Removes what is at exactly this path, and below.
    pub(super) fn clear(&mut self, path: &TreePath) {
        for entries in [&mut self.own, &mut self.lower] {
            entries.remove(path);
            remove_below(entries, path);
        }
    }

    /// Everything in it, folders before what is in them.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&TreePath, &Entry)> {
        let (mut own, mut lower) = (self.own.iter().peekable(), self.lower.iter().peekable());
        std::iter::from_fn(move || match (own.peek(), lower.peek()) {
            (Some((one, _)), Some((other, _))) if one > other => lower.next(),
            (None, _) => lower.next(),
            _ => own.next(),
        })
    }

    fn get(&self, path: &TreePath) -> Option<&Entry> {
        self.own.get(path).or_else(|| self.lower.get(path))
    }

    /// Makes an entry the layer's own: no mark of it hides the entry.
    fn raise(&mut self, path: &TreePath) {
        if let Some((path, entry)) = self.lower.remove_entry(path) {
            self.own.insert(path, entry);
        }
    }

    fn insert(&mut self, path: TreePath, entry: Entry) -> Result<(), Refused> {
        self.raise(&path);
        if self.own.len() + self.lower.len() >= MAX_ENTRIES && !self.own.contains_key(&path) {
            return Err(Refused::TooMany);
        }
        self.own.insert(path, entry);
        Ok(())
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
            match self.get(&next).map(|entry| &entry.kind) {
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

/// Removes what is below a folder. Costs what it removes: in the order of bytes `a/…` is in one piece, and found at once.
fn remove_below(entries: &mut BTreeMap<TreePath, Entry>, folder: &TreePath) {
    if folder.is_root() {
        return entries.clear();
    }
    let below: Vec<TreePath> = entries.range(folder.below()).map(|(path, _)| path.clone()).collect();
    for path in &below {
        entries.remove(path);
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

    /// Names that sort between a folder and what is in it, and marks that name the folder again and again: by a scan
    /// for each mark this takes an hour.
    #[test]
    fn many_marks_cost_no_more_than_what_they_hide() {
        const MANY: usize = 200_000;
        let begun = std::time::Instant::now();
        for mark in [".wh.d", "d/.wh..wh..opq", "d/.wh.own"] {
            let mut merged = Merged::default();
            (0..MANY).for_each(|number| merged.take(&path(&format!("d-{number}")), file(0)).unwrap());
            merged.take(&path("d/old"), file(0)).unwrap();
            merged.next_layer();
            (0..MANY).for_each(|number| merged.take(&path(&format!("d/own/{number}")), file(1)).unwrap());
            (0..MANY).for_each(|_| merged.take(&path(mark), file(1)).unwrap());
            let old = usize::from(mark == "d/.wh.own");
            assert_eq!(merged.entries().count(), 2 * MANY + 2 + old, "{mark}");
        }
        assert!(begun.elapsed() < std::time::Duration::from_mins(2), "{:?}", begun.elapsed());
    }

    #[test]
    fn marks_are_counted() {
        let mut merged = Merged::default();
        (0..MAX_ENTRIES).for_each(|_| merged.take(&path(".wh.d"), file(0)).unwrap());
        assert_eq!(merged.take(&path("e/.wh..wh..opq"), file(0)), Err(Refused::TooMany));
        assert_eq!(merged.take(&path("e"), file(0)), Ok(()));
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
