//! Which version meets a requirement, by npm's rules.

use inside_contract::Requirement;
use nodejs_semver::{Range, Version};

use super::Error;

/// How many versions a refusal names.
const NEAREST: usize = 5;

/// The newest released version that meets `requirement`; if that is empty or names the long-term support, `default`.
pub(crate) fn choose<'a>(
    name: &str,
    requirement: &str,
    default: &str,
    available: &'a [Version],
) -> Result<&'a Version, Error> {
    let wanted = meaning(requirement, default);
    let range = Range::parse(wanted).map_err(|_| Error::Requirement {
        name: name.to_owned(),
        requirement: requirement.chars().take(80).collect(),
    })?;
    let released = || available.iter().filter(|version| !version.is_prerelease());
    released().filter(|version| range.satisfies(version)).max().ok_or_else(|| Error::Unavailable {
        name: name.to_owned(),
        requirement: wanted.to_owned(),
        nearest: nearest(wanted, &released().collect::<Vec<_>>()),
    })
}

fn meaning<'a>(requirement: &'a str, default: &'a str) -> &'a str {
    match Requirement::from(requirement) {
        Requirement::Default => default,
        Requirement::Newest => "*",
        Requirement::Range(range) => range,
    }
}

/// Versions next to the first number in a requirement: the newest of each minor of its major, or of each major.
fn nearest(wanted: &str, released: &[&Version]) -> String {
    let first = wanted.split(|letter: char| !letter.is_ascii_digit()).find_map(|digits| digits.parse::<u64>().ok());
    let major = first.unwrap_or_default();
    let mut groups: Vec<&Version> = newest_per(released, |version| (version.major, version.minor))
        .into_iter()
        .filter(|version| version.major == major)
        .collect();
    if groups.is_empty() {
        groups = newest_per(released, |version| (version.major, 0));
        groups.sort_by_key(|version| version.major.abs_diff(major));
    }
    groups.iter().take(NEAREST).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The newest version of each group, newest group first.
fn newest_per<'a>(released: &[&'a Version], group: impl Fn(&Version) -> (u64, u64)) -> Vec<&'a Version> {
    let mut sorted = released.to_vec();
    sorted.sort_unstable_by(|one, two| two.cmp(one));
    sorted.dedup_by_key(|version| group(version));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn available() -> Vec<Version> {
        ["18.20.8", "20.19.4", "22.22.0", "22.23.3", "23.1.0", "24.20.0", "24.21.0", "26.10.0", "27.0.0-rc.1"]
            .map(|text| Version::parse(text).unwrap())
            .to_vec()
    }

    #[test]
    fn the_newest_that_meets_the_requirement() {
        for (requirement, expected) in [
            ("", "24.21.0"),
            ("lts/*", "24.21.0"),
            ("22.x", "22.23.3"),
            ("22", "22.23.3"),
            ("v22", "22.23.3"),
            ("lts/jod", "22.23.3"),
            ("22.22.0", "22.22.0"),
            ("~22.22", "22.22.0"),
            ("^18 || ^20", "20.19.4"),
            (">=20", "26.10.0"),
            (">=20 <24", "23.1.0"),
            ("20 - 22", "22.23.3"),
            ("*", "26.10.0"),
            ("latest", "26.10.0"),
        ] {
            let available = available();
            let chosen = choose("node", requirement, "24.x", &available);
            assert_eq!(chosen.map(ToString::to_string).unwrap(), expected, "{requirement}");
        }
    }

    #[test]
    fn what_is_not_there_names_what_is_near() {
        let error = |requirement| choose("node", requirement, "24.x", &available()).unwrap_err().to_string();
        assert_eq!(
            error("22.1.0"),
            "node 22.1.0 is not available; the nearest available versions are 22.23.3, 22.22.0"
        );
        assert_eq!(
            error("25.x"),
            "node 25.x is not available; the nearest available versions are 26.10.0, 24.21.0, 23.1.0, 22.23.3, 20.19.4"
        );
        assert_eq!(error("banana"), "node \"banana\" is not a version or range of versions");
    }
}
