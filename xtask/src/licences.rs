//! The licences of what we depend on: what `deny.toml` allows against what each package says of itself.
//!
//! ```text
//! expression := term *( "OR" term )            (SPDX 2.3, annex D; an old "/" is an OR)
//! term       := factor *( "AND" factor )
//! factor     := "(" expression ")" / identifier [ "WITH" exception ]
//! ```
//!
//! A package passes if one of its choices needs no licence that is not allowed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// `deny.toml`, as far as it is read.
#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Allowed,
}

#[derive(Debug, Deserialize)]
struct Allowed {
    allow: BTreeSet<String>,
}

/// What `cargo metadata` answers.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Nothing for crates of this workspace; `registry+…`, `git+…`.
    source: Option<String>,
}

/// Looks at every package of the lock file; the mistakes, or one line of praise.
pub(crate) fn check() -> Result<String, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or_else(|| vec!["no workspace".to_owned()])?;
    let text = fs::read_to_string(root.join("deny.toml")).map_err(|error| vec![format!("deny.toml: {error}")])?;
    let rules: Rules = toml::from_str(&text).map_err(|error| vec![format!("deny.toml: {error}")])?;
    let packages = packages(root).map_err(|error| vec![error])?;
    let mistakes: Vec<String> = packages.iter().filter_map(|package| mistake(package, &rules)).collect();
    if mistakes.is_empty() {
        Ok(format!("licences: {} packages have one that deny.toml allows", packages.len()))
    } else {
        Err(mistakes)
    }
}

fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root);
    let output = cargo.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Result<Metadata, _> = serde_json::from_slice(&output.stdout);
    metadata.map(|metadata| metadata.packages).map_err(|error| format!("cargo metadata: {error}"))
}

fn mistake(package: &Package, rules: &Rules) -> Option<String> {
    let Package { name, version, license, source } = package;
    let said = license.as_deref().unwrap_or("no licence");
    if source.as_ref().is_some_and(|source| !source.starts_with("registry+")) {
        return Some(format!("{name} {version} comes from no registry"));
    }
    let fine = license.as_ref().is_some_and(|license| Expression::new(license).passes(&rules.licenses.allow));
    (!fine).then(|| format!("{name} {version} has a licence that deny.toml does not allow: {said}"))
}

/// The words of an expression that are not read yet, the last one first.
struct Expression(Vec<String>);

impl Expression {
    fn new(text: &str) -> Self {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        Self(spaced.split_whitespace().rev().map(str::to_owned).collect())
    }

    /// Whether the whole of it is one expression that passes.
    fn passes(mut self, allowed: &BTreeSet<String>) -> bool {
        let passes = self.expression(allowed);
        passes && self.0.is_empty()
    }

    fn expression(&mut self, allowed: &BTreeSet<String>) -> bool {
        let mut passes = self.term(allowed);
        while self.takes("OR") {
            passes |= self.term(allowed);
        }
        passes
    }

    fn term(&mut self, allowed: &BTreeSet<String>) -> bool {
        let mut passes = self.factor(allowed);
        while self.takes("AND") {
            passes &= self.factor(allowed);
        }
        passes
    }

    fn factor(&mut self, allowed: &BTreeSet<String>) -> bool {
        if self.takes("(") {
            let passes = self.expression(allowed);
            return self.takes(")") && passes;
        }
        let mut name = self.0.pop().unwrap_or_default();
        if self.takes("WITH") {
            name = format!("{name} WITH {}", self.0.pop().unwrap_or_default());
        }
        allowed.contains(&name)
    }

    fn takes(&mut self, word: &str) -> bool {
        self.0.pop_if(|next| next == word).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_choice_without_another_licence_passes() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
        for (text, expected) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only OR MIT", true),
            ("GPL-3.0-only/MIT", true),
            ("GPL-3.0-only AND MIT", false),
            ("MIT OR GPL-3.0-only AND ISC", true),
            ("(MIT OR GPL-3.0-only) AND ISC", true),
            ("(MIT OR ISC) AND GPL-3.0-only", false),
            ("ISC AND (Apache-2.0 OR ISC) AND (MIT OR GPL-2.0-only)", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT WITH some-exception", false),
            ("Apache-2.0", false),
            ("MIT GPL-3.0-only", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(Expression::new(text).passes(&allowed), expected, "{text}");
        }
    }

    #[test]
    fn a_package_from_elsewhere_or_without_a_licence_is_named() {
        let rules = Rules { licenses: Allowed { allow: ["MIT".to_owned()].into() } };
        let told = |name: &str, license: Option<&str>, source: &str| {
            let (license, source) = (license.map(str::to_owned), Some(source.to_owned()));
            mistake(&Package { name: name.to_owned(), version: "1.0.0".to_owned(), license, source }, &rules)
        };
        assert_eq!(told("serde", Some("MIT"), "registry+x"), None);
        assert!(told("serde", Some("MIT"), "git+x").is_some_and(|told| told.contains("no registry")));
        assert!(told("serde", None, "registry+x").is_some_and(|told| told.ends_with("no licence")));
    }
}
