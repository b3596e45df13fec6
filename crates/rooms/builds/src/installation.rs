//! What a buildpack's name or address means.

use inside_contract::BuildpackRef;
use store::buildpacks::Installation;

/// Buildpacks that are part of the platform, without their namespace `heroku/`.
const BUILT_IN: [&str; 4] = ["nodejs", "python", "static", "procfile"];
/// Official names that exist at Heroku and not here yet.
const NOT_YET: [&str; 9] = ["ruby", "java", "php", "go", "scala", "clojure", "gradle", "dotnet", "jvm"];
const URN: &str = "urn:buildpack:";
/// The address under which Heroku's registry keeps tarballs, as older clients send it.
const REGISTRY: &str = "https://buildpack-registry.s3.amazonaws.com/buildpacks/";

/// What a buildpack's name or URL given to the API becomes: `heroku/nodejs` → (`urn:buildpack:heroku/nodejs`,
/// `heroku/nodejs`), a git or tarball URL → itself twice; or the message for 422.
pub fn installation(given: &str) -> Result<Installation, String> {
    let given = given.trim();
    Ok(match reference(given)? {
        BuildpackRef::BuiltIn(name) => {
            Installation { url: format!("{URN}heroku/{name}"), name: format!("heroku/{name}") }
        }
        BuildpackRef::Git(_) | BuildpackRef::Tarball(_) => {
            Installation { url: given.to_owned(), name: given.to_owned() }
        }
    })
}

/// What can be run or fetched under a buildpack's name or address; or the message for 422.
pub(crate) fn reference(given: &str) -> Result<BuildpackRef, String> {
    let given = given.trim();
    if let Some(name) = registry_name(given) {
        return named(name);
    }
    if let Some(rest) = given.strip_prefix("github.com/") {
        return Ok(BuildpackRef::Git(format!("https://github.com/{rest}")));
    }
    let Some((scheme, rest)) = given.split_once("://") else { return named(given) };
    let address = rest.split(['#', '?']).next().unwrap_or_default();
    let safe = !rest.is_empty() && !given.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    match scheme {
        "https" | "http" if safe && is_tarball(address) => Ok(BuildpackRef::Tarball(given.to_owned())),
        "https" | "http" | "git" if safe && address.contains('/') => Ok(BuildpackRef::Git(given.to_owned())),
        _ => Err(format!(
            "{given} is no buildpack: give a name such as heroku/nodejs, the https address of a git repository (with #branch or #commit), or of a .tgz file"
        )),
    }
}

fn registry_name(given: &str) -> Option<&str> {
    given.strip_prefix(URN).or_else(|| given.strip_prefix(REGISTRY)?.strip_suffix(".tgz"))
}

fn is_tarball(address: &str) -> bool {
    [".tgz", ".tar.gz", ".tar"].iter().any(|end| address.ends_with(end))
}

fn named(name: &str) -> Result<BuildpackRef, String> {
    if let Some(short) = name.strip_prefix("heroku/") {
        if BUILT_IN.contains(&short) {
            return Ok(BuildpackRef::BuiltIn(short.to_owned()));
        }
        if NOT_YET.contains(&short) {
            return Err(format!(
                "{name} is not built into this platform yet. Built in are {}; or give the address of the buildpack's git repository",
                built_in()
            ));
        }
    }
    Err(format!(
        "Couldn't find the buildpack {name}. Built in are {}; others are given by their https address",
        built_in()
    ))
}

fn built_in() -> String {
    BUILT_IN.map(|name| format!("heroku/{name}")).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_urns_are_the_built_in_ones() {
        let nodejs = Installation { url: "urn:buildpack:heroku/nodejs".to_owned(), name: "heroku/nodejs".to_owned() };
        for given in [
            "heroku/nodejs",
            " urn:buildpack:heroku/nodejs ",
            "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/nodejs.tgz",
        ] {
            assert_eq!(installation(given), Ok(nodejs.clone()), "{given}");
        }
    }

    #[test]
    fn addresses_stay_as_they_are_given() {
        for (given, expected) in [
            ("https://example.com/pack.tgz", BuildpackRef::Tarball("https://example.com/pack.tgz".to_owned())),
            (
                "https://example.com/pack.tar.gz?x=1",
                BuildpackRef::Tarball("https://example.com/pack.tar.gz?x=1".to_owned()),
            ),
            ("https://example.com/o/r.git#v1", BuildpackRef::Git("https://example.com/o/r.git#v1".to_owned())),
            ("https://example.com/o/r#main", BuildpackRef::Git("https://example.com/o/r#main".to_owned())),
            ("github.com/o/r", BuildpackRef::Git("https://github.com/o/r".to_owned())),
        ] {
            assert_eq!(reference(given), Ok(expected), "{given}");
            assert_eq!(installation(given).unwrap().url, given);
            assert_eq!(installation(given).unwrap().name, given);
        }
    }

    #[test]
    fn what_does_not_exist_says_what_does() {
        assert_eq!(
            installation("heroku/ruby").unwrap_err(),
            "heroku/ruby is not built into this platform yet. Built in are heroku/nodejs, heroku/python, heroku/static, \
             heroku/procfile; \
             or give the address of the buildpack's git repository"
        );
        for given in [
            "",
            "nodejs",
            "acme/thing",
            "file:///etc/passwd",
            "ext::sh -c id",
            "https://",
            "https://a b/c",
            "ssh://h/r",
        ] {
            assert!(installation(given).is_err(), "{given}");
        }
    }
}
