//! What `bin/release` prints: YAML with `default_process_types`, `config_vars` and `addons`; often empty, or `--- {}`.
//!
//! It is read by a YAML library: buildpacks print it with Ruby's, Python's or their own hand, and folded or quoted text
//! over several lines is common.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode as _, Yaml};

/// What a buildpack wants set on a release. Add-ons are left to the app's own list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) default_process_types: BTreeMap<String, String>,
    pub(crate) config_vars: BTreeMap<String, String>,
}

/// Larger is no release of a buildpack.
const LIMIT: usize = 64 * 1024;

/// Reads a release; the error is one line for the person who wrote the buildpack.
pub(crate) fn parse(output: &[u8]) -> Result<Release, String> {
    if output.len() > LIMIT {
        return Err("it has more than 64 KiB".to_owned());
    }
    let text = std::str::from_utf8(output).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    let Some(document) = documents.first() else { return Ok(Release::default()) };
    if document.is_null() {
        return Ok(Release::default());
    }
    if document.as_mapping().is_none() {
        return Err("it is not a map".to_owned());
    }
    Ok(Release {
        default_process_types: map(document, "default_process_types")?,
        config_vars: map(document, "config_vars")?,
    })
}

fn map(document: &Yaml<'_>, key: &str) -> Result<BTreeMap<String, String>, String> {
    let Some(value) = document.as_mapping_get(key).filter(|value| !value.is_null()) else {
        return Ok(BTreeMap::new());
    };
    let wrong = || format!("`{key}` is not a map of names to text");
    let entries = value.as_mapping().ok_or_else(wrong)?;
    entries.iter().map(|(name, value)| Some((scalar(name)?, scalar(value)?))).collect::<Option<_>>().ok_or_else(wrong)
}

/// Text, also where YAML saw a number or a truth in it, such as `WEB_CONCURRENCY: 2`.
fn scalar(value: &Yaml<'_>) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    value
        .as_integer()
        .map(|number| number.to_string())
        .or_else(|| value.as_bool().map(|truth| truth.to_string()))
        .or_else(|| value.as_floating_point().map(|number| number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(output: &str) -> Vec<(String, String)> {
        parse(output.as_bytes()).unwrap().default_process_types.into_iter().collect()
    }

    #[test]
    fn nothing_is_a_release() {
        for output in [
            "",
            "\n",
            "---\n",
            "--- {}\n",
            "{}",
            "# none\n",
            "addons: []\n",
            "config_vars: {}\n",
            "default_process_types:\n",
        ] {
            assert_eq!(parse(output.as_bytes()), Ok(Release::default()), "{output:?}");
        }
    }

    #[test]
    fn process_types_in_every_common_form() {
        let web = |command: &str| vec![("web".to_owned(), command.to_owned())];
        let cases = [
            ("---\ndefault_process_types:\n  web: npm start\n", "npm start"),
            ("default_process_types: { web: 'node x.js' }", "node x.js"),
            ("default_process_types:\n  \"web\": \"java -jar \\\"a b.jar\\\"\"\n", "java -jar \"a b.jar\""),
            ("default_process_types:\n  web: >-\n    gunicorn\n    app:app\n", "gunicorn app:app"),
            ("default_process_types:\n  web: bin/rails server\n    -p $PORT\n", "bin/rails server -p $PORT"),
            ("default_process_types:\n  web: a # not the command\n", "a"),
            ("---\naddons:\n- heroku-postgresql\ndefault_process_types:\n    web: 'x: y'\n", "x: y"),
        ];
        for (output, command) in cases {
            assert_eq!(types(output), web(command), "{output:?}");
        }
    }

    #[test]
    fn numbers_of_config_vars_are_text() {
        let release = parse(b"config_vars:\n  WEB_CONCURRENCY: 2\n  DEBUG: true\n  NAME: x\n").unwrap();
        let expected = [("DEBUG", "true"), ("NAME", "x"), ("WEB_CONCURRENCY", "2")];
        assert!(release.config_vars.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(expected));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        assert_eq!(parse(b"just text\n"), Err("it is not a map".to_owned()));
        assert_eq!(parse(b"- a\n- b\n"), Err("it is not a map".to_owned()));
        let wrong = Err("`default_process_types` is not a map of names to text".to_owned());
        assert_eq!(parse(b"default_process_types: [web]\n"), wrong);
        assert_eq!(parse(b"default_process_types: {web: {a: b}}\n"), wrong);
        assert!(parse(b"a: [\n").is_err());
        assert!(parse(&[0xff]).is_err());
        assert!(parse(&vec![b'#'; LIMIT + 1]).is_err());
    }
}
