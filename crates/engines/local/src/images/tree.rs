//! The tree a layer is made of: what names and kinds may stand in it, and in which order it is written.
//!
//! Knows paths and kinds; knows nothing of tar or of where contents lie. Hostile input ends here: a path that leaves
//! the tree, goes through something that is no folder, or is named twice is refused, and no rule depends on the order
//! in which entries come.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The most entries of a tree. A large Node.js app has 60,000.
pub const MAX_ENTRIES: usize = 500_000;
/// The longest path, `PATH_MAX` of Linux.
const MAX_PATH: usize = 4095;
/// The longest name of one file, `NAME_MAX` of Linux.
const MAX_NAME: usize = 255;

/// Why an entry is refused. Paths are shown with foreign bytes replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It begins with a slash.
    #[error("the archive holds an absolute path: {0}")]
    Absolute(String),
    /// It holds `..`.
    #[error("the archive holds a path that leaves it: {0}")]
    Leaves(String),
    /// It or one of its names is longer than Linux takes, or holds a NUL.
    #[error("the archive holds an impossible name: {0}")]
    Name(String),
    /// Two entries have this path.
    #[error("the archive holds a path twice: {0}")]
    Twice(String),
    /// A part of the path is a file or a link.
    #[error("the archive holds a path through something that is no folder: {0}")]
    ThroughFile(String),
    /// A hard link to a path that is no file of the archive before it.
    #[error("the archive holds a hard link to something it does not hold: {0}")]
    DanglingLink(String),
    /// More entries than [`MAX_ENTRIES`].
    #[error("the archive holds more than {MAX_ENTRIES} entries")]
    TooMany,
}

/// A file's contents, by their place in the spool. Hard links share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// A number of its own, so that two empty files stay two.
    pub id: usize,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Whether it may be executed.
    pub executable: bool,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A file.
    File(Content),
    /// A symbolic link and what it says. Where it leads is up to whoever follows it, inside a dyno.
    Symlink(Vec<u8>),
}

/// A path inside the tree: relative, without `.`, `..` or double slashes. Empty for the root.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreePath(Vec<u8>);

impl TreePath {
    /// Reads a path as an archive has it.
    pub fn parse(raw: &[u8]) -> Result<Self, Refused> {
        let shown = || String::from_utf8_lossy(raw).chars().take(200).collect();
        if raw.first() == Some(&b'/') {
            return Err(Refused::Absolute(shown()));
        }
        if raw.len() > MAX_PATH || raw.contains(&0) {
            return Err(Refused::Name(shown()));
        }
        let mut path = Vec::with_capacity(raw.len());
        for name in raw.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
            match name {
                b".." => return Err(Refused::Leaves(shown())),
                name if name.len() > MAX_NAME => return Err(Refused::Name(shown())),
                name => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                }
            }
        }
        Ok(Self(path))
    }

    /// The path as text for a message.
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.0).chars().take(200).collect()
    }

    /// Whether it is the tree's root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The range of the paths below it, of one that is not the root: from `a/` up to `a0`, the next byte after a slash.
    pub(crate) fn below(&self) -> std::ops::Range<TreePath> {
        let ending = |byte| TreePath([self.0.as_slice(), &[byte]].concat());
        ending(b'/')..ending(b'/' + 1)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// Every folder above it but the root, from the top.
    pub fn parents(&self) -> impl Iterator<Item = TreePath> + '_ {
        let slashes = self.0.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.map(|(at, _)| TreePath(self.0.iter().take(at).copied().collect()))
    }
}

/// A tree being gathered.
#[derive(Debug, Default)]
pub struct Tree(BTreeMap<TreePath, Node>);

impl Tree {
    /// Puts `node` at `path`; folders above it appear by themselves, a folder may be named again.
    pub fn insert(&mut self, path: TreePath, node: Node) -> Result<(), Refused> {
        if path.is_root() {
            return if node == Node::Folder { Ok(()) } else { Err(Refused::ThroughFile(".".to_owned())) };
        }
        // Long paths make many folders, so each is counted.
        for parent in path.parents() {
            match self.0.get(&parent) {
                Some(Node::Folder) => {}
                Some(_) => return Err(Refused::ThroughFile(path.shown())),
                None => self.put(parent, Node::Folder)?,
            }
        }
        match self.0.get(&path) {
            None => self.put(path, node),
            Some(Node::Folder) if node == Node::Folder => Ok(()),
            Some(_) => Err(Refused::Twice(path.shown())),
        }
    }

    /// Makes `path` another name of the file `target`.
    pub fn link(&mut self, path: TreePath, target: &TreePath) -> Result<(), Refused> {
        match self.0.get(target) {
            Some(node @ (Node::File(_) | Node::Symlink(_))) => {
                let node = node.clone();
                self.insert(path, node)
            }
            _ => Err(Refused::DanglingLink(target.shown())),
        }
    }

    fn put(&mut self, path: TreePath, node: Node) -> Result<(), Refused> {
        if self.0.len() >= MAX_ENTRIES {
            return Err(Refused::TooMany);
        }
        self.0.insert(path, node);
        Ok(())
    }

    /// Everything in it, folders before what is in them.
    pub fn entries(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    fn file(id: usize) -> Node {
        Node::File(Content { id, offset: 0, length: 0, executable: false })
    }

    #[test]
    fn a_path_is_read_into_its_names() {
        assert_eq!(path("./a//b/./c/"), path("a/b/c"));
        assert!(path("./").is_root());
    }

    #[test]
    fn a_path_that_leaves_is_refused() {
        assert_eq!(TreePath::parse(b"/etc/passwd"), Err(Refused::Absolute("/etc/passwd".to_owned())));
        assert_eq!(TreePath::parse(b"a/../../b"), Err(Refused::Leaves("a/../../b".to_owned())));
        assert!(matches!(TreePath::parse(b"a\0b"), Err(Refused::Name(_))));
        assert!(matches!(TreePath::parse(&[b'a'; 256]), Err(Refused::Name(_))));
        assert!(matches!(TreePath::parse(&b"a/".repeat(3000)), Err(Refused::Name(_))));
    }

    #[test]
    fn folders_above_appear_and_may_be_named_again() {
        let mut tree = Tree::default();
        tree.insert(path("a/b/c"), file(0)).unwrap();
        tree.insert(path("a"), Node::Folder).unwrap();
        let names: Vec<_> = tree.entries().map(|(path, _)| path.clone()).collect();
        assert_eq!(names, [path("a"), path("a/b"), path("a/b/c")]);
    }

    #[test]
    fn a_path_twice_is_refused() {
        let mut tree = Tree::default();
        tree.insert(path("a"), file(0)).unwrap();
        assert!(matches!(tree.insert(path("a"), file(1)), Err(Refused::Twice(_))));
        assert!(matches!(tree.insert(path("a"), Node::Folder), Err(Refused::Twice(_))));
    }

    #[test]
    fn writing_through_a_link_is_refused() {
        let mut tree = Tree::default();
        tree.insert(path("a"), Node::Symlink(b"/etc".to_vec())).unwrap();
        assert!(matches!(tree.insert(path("a/passwd"), file(0)), Err(Refused::ThroughFile(_))));
    }

    #[test]
    fn a_hard_link_needs_its_file_in_the_tree() {
        let mut tree = Tree::default();
        assert!(matches!(tree.link(path("b"), &path("a")), Err(Refused::DanglingLink(_))));
        tree.insert(path("a"), file(7)).unwrap();
        tree.link(path("b"), &path("a")).unwrap();
        assert!(tree.entries().any(|(name, node)| *name == path("b") && *node == file(7)));
    }
}
