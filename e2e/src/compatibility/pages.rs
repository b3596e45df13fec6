//! The pages as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::partly::Partly;
use super::{Commands, Seen};

/// A page, and the sentence that sums it up.
pub(crate) struct Page {
    pub(crate) text: String,
    pub(crate) summary: String,
}

/// A row: its name, what it is for, the scenario that saw it, what is missing.
struct Row<'a> {
    name: &'a str,
    about: &'a str,
    scenario: Option<&'static str>,
    missing: Option<&'a str>,
}

impl Row<'_> {
    fn state(&self) -> String {
        match (self.scenario, self.missing) {
            (None, _) => "not yet".to_owned(),
            (Some(_), None) => "works".to_owned(),
            (Some(_), Some(what)) => format!("partly: {what}"),
        }
    }
}

/// `docs/compatibility/cli.md`.
pub(crate) fn commands(commands: &Commands, seen: &Seen, partly: &Partly) -> Page {
    let rows = commands.visible().iter().map(|(name, about)| row(name, about, seen, partly));
    let about = format!(
        "The official `heroku` command, unmodified, version {}, with the environment that `slipway env` prints. A command \
         works if the scenario named beside it, in `e2e/tests/product/`, ran it and it ended well.",
        commands.version
    );
    page("Commands", &about, "commands", &grouped(rows, |name| name.split(':').next().unwrap_or(name)))
}

/// `docs/compatibility/api.md`.
pub(crate) fn endpoints(endpoints: &BTreeSet<&str>, seen: &Seen, partly: &Partly) -> Page {
    let rows = endpoints.iter().map(|name| row(name, "", seen, partly));
    let about = "Heroku's published Platform API, version 3. An endpoint works if the scenario named beside it, in \
                 `e2e/tests/product/`, got an answer from it that was no error and was as the schema says. Those that do not \
                 work yet answer 501 or 404 with an error that says so.";
    page("Endpoints of the Platform API", about, "endpoints", &grouped(rows, resource))
}

/// The first word of the path below an app, a team, a pipeline or alone.
fn resource(endpoint: &str) -> &str {
    let path = endpoint.split(' ').nth(1).unwrap_or_default();
    path.split('/').nth(1).unwrap_or_default()
}

fn row<'a>(name: &'a str, about: &'a str, seen: &Seen, partly: &'a Partly) -> Row<'a> {
    Row { name, about, scenario: seen.get(name).copied(), missing: partly.missing(name) }
}

fn grouped<'a>(
    rows: impl Iterator<Item = Row<'a>>,
    group: impl Fn(&'a str) -> &'a str,
) -> BTreeMap<&'a str, Vec<Row<'a>>> {
    let mut groups: BTreeMap<&str, Vec<Row<'_>>> = BTreeMap::new();
    rows.for_each(|row| groups.entry(group(row.name)).or_default().push(row));
    groups
}

fn page(title: &str, about: &str, what: &str, groups: &BTreeMap<&str, Vec<Row<'_>>>) -> Page {
    let rows = || groups.values().flatten();
    let seen = rows().filter(|row| row.scenario.is_some()).count();
    let partly = rows().filter(|row| row.scenario.is_some() && row.missing.is_some()).count();
    let summary = format!("Of {} {what}, {} work, {partly} work in part.", rows().count(), seen - partly);
    let mut text = format!("# {title}\n\n{about}\n\n{summary} Made by `make compatibility`; not edited by hand.\n");
    for (group, rows) in groups {
        let worth = rows.iter().any(|row| row.scenario.is_some());
        if worth {
            table(&mut text, group, rows);
        } else {
            let names: Vec<String> = rows.iter().map(|row| format!("`{}`", row.name)).collect();
            let _ = write!(text, "\n## {group}\n\nNot yet: {}\n", names.join(", "));
        }
    }
    Page { text, summary }
}

fn table(text: &mut String, group: &str, rows: &[Row<'_>]) {
    let _ = write!(text, "\n## {group}\n\n| | | state | scenario |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let scenario = row.scenario.map(|name| format!("`{name}`")).unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {} | {} | {scenario} |", row.name, row.about.replace('|', "/"), row.state());
    }
}

/// The names a page says work, wholly or in part.
pub(crate) fn claims(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let (name, state) = (cells.next()?.strip_suffix('`')?, cells.nth(1)?);
        (state == "works" || state.starts_with("partly")).then_some(name)
    })
}
