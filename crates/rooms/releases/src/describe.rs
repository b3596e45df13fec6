//! What a release is called, word for word as Heroku does.

use vocabulary::{ConfigVarName, ReleaseVersion};

/// Of the first release.
pub(crate) const INITIAL: &str = "Initial release";
/// Of the second. Its log is what Heroku calls Logplex.
pub(crate) const LOGPLEX: &str = "Enable Logplex";

/// `Deploy 1a2b3c4d`: the first 8 characters of the commit or version; `Deploy` alone without one.
#[must_use]
pub fn deploy(commit: Option<&str>) -> String {
    let short: String = commit.unwrap_or_default().chars().take(8).collect();
    format!("Deploy {short}").trim_end().to_owned()
}

/// `Set FOO, BAR config vars`, `Remove FOO config vars`; of a change that does both, each with its names.
pub(crate) fn config(set: &[&ConfigVarName], removed: &[&ConfigVarName]) -> String {
    let names = |names: &[&ConfigVarName]| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    match (set, removed) {
        (set, []) => format!("Set {} config vars", names(set)),
        ([], removed) => format!("Remove {} config vars", names(removed)),
        (set, removed) => format!("Set {}, remove {} config vars", names(set), names(removed)),
    }
}

/// `Rollback to v3`.
pub(crate) fn rollback(to: ReleaseVersion) -> String {
    format!("Rollback to {to}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_for_word() {
        let (foo, bar): (ConfigVarName, ConfigVarName) = ("FOO".parse().unwrap(), "BAR".parse().unwrap());
        assert_eq!(deploy(Some("1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d")), "Deploy 1a2b3c4d");
        assert_eq!(deploy(Some("v1")), "Deploy v1");
        assert_eq!(deploy(None), "Deploy");
        assert_eq!(config(&[&foo, &bar], &[]), "Set FOO, BAR config vars");
        assert_eq!(config(&[], &[&foo]), "Remove FOO config vars");
        assert_eq!(config(&[&foo], &[&bar]), "Set FOO, remove BAR config vars");
        assert_eq!(rollback(ReleaseVersion::new(3)), "Rollback to v3");
    }
}
