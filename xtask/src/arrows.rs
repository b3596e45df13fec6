//! The arrows between crates: what ARCHITECTURE.md allows against what the manifests say.
//!
//! The table there has rows `| from | may import |`, names of crates in backticks. A crate may import less than its
//! row allows; never more. A crate without a row is a mistake, so that none is added unnoticed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Compares both; the mistakes, or one line of praise.
pub(crate) fn check() -> Result<String, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or_else(|| vec!["no workspace".to_owned()])?;
    let text =
        fs::read_to_string(root.join("ARCHITECTURE.md")).map_err(|error| vec![format!("ARCHITECTURE.md: {error}")])?;
    let (allowed, drawn) = (table(&text), manifests(root)?);
    let mistakes = compare(&allowed, &drawn);
    if mistakes.is_empty() {
        Ok(format!("arrows: {} crates import what ARCHITECTURE.md allows", drawn.len()))
    } else {
        Err(mistakes)
    }
}

fn compare(allowed: &Arrows, drawn: &Arrows) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (name, imports) in drawn {
        let Some(may) = allowed.get(name) else {
            mistakes.push(format!("{name} has no row in the table of arrows"));
            continue;
        };
        mistakes.extend(imports.difference(may).map(|import| format!("{name} must not import {import}")));
    }
    mistakes.extend(allowed.keys().filter(|name| !drawn.contains_key(*name)).map(|name| format!("{name} is no crate")));
    mistakes
}

/// The rows of the table: every line whose first cell begins with a backtick. «everything» allows all.
fn table(text: &str) -> Arrows {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut arrows = Arrows::new();
    let mut all = BTreeSet::new();
    let mut unbounded = Vec::new();
    for row in rows {
        let mut cells = row.trim_matches('|').split('|');
        let (from, to) = (names(cells.next().unwrap_or_default()), cells.next().unwrap_or_default());
        all.extend(from.iter().cloned());
        for name in from {
            if to.contains("everything") {
                unbounded.push(name.clone());
            }
            arrows.entry(name).or_default().extend(names(to));
        }
    }
    for name in unbounded {
        arrows.insert(name, all.clone());
    }
    arrows
}

/// The words in backticks.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The imports of our own crates, from every member's manifest; what only tests import does not count.
fn manifests(root: &Path) -> Result<Arrows, Vec<String>> {
    let mut manifests: BTreeMap<String, toml::Table> = BTreeMap::new();
    for folder in folders(root) {
        let path = folder.join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let manifest: toml::Table = text.parse().map_err(|error| vec![format!("{}: {error}", path.display())])?;
        let name = manifest["package"]["name"].as_str().unwrap_or_default().to_owned();
        manifests.insert(name, manifest);
    }
    let ours: BTreeSet<String> = manifests.keys().cloned().collect();
    let imports = |manifest: &toml::Table| {
        let table = manifest.get("dependencies").and_then(toml::Value::as_table);
        table.map(|table| table.keys().filter(|name| ours.contains(*name)).cloned().collect()).unwrap_or_default()
    };
    Ok(manifests.iter().map(|(name, manifest)| (name.clone(), imports(manifest))).collect())
}

fn folders(root: &Path) -> Vec<std::path::PathBuf> {
    let storeys = ["base", "engines", "inside", "rooms", "doors"].map(|storey| root.join("crates").join(storey));
    let members = storeys.iter().filter_map(|storey| fs::read_dir(storey).ok()).flatten().flatten();
    let single = ["crates/slipway", "e2e", "e2e/schema-check", "e2e/scratch-postgres", "bench", "xtask"]
        .map(|name| root.join(name));
    members.map(|entry| entry.path()).chain(single).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_arrow_and_a_missing_row_are_told() {
        let allowed = table("| `dynos` | `store`, `engine` |\n| `api` | everything |\n| `store`, `engine` | |\n");
        let drawn: Arrows = [("dynos", vec!["store", "api"]), ("api", vec!["dynos"]), ("new", vec![])]
            .into_iter()
            .map(|(name, imports)| (name.to_owned(), imports.into_iter().map(str::to_owned).collect()))
            .collect();
        let told = compare(&allowed, &drawn);
        assert_eq!(
            told,
            [
                "dynos must not import api",
                "new has no row in the table of arrows",
                "engine is no crate",
                "store is no crate"
            ]
        );
    }
}
