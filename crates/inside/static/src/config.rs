//! `static.json`: what is served and how. The buildpack checks it when an app is pushed; here it is read once, at start.
//!
//! ```json
//! {"root": "public/", "clean_urls": true, "error_page": "404.html", "routes": {"/app/**": "index.html"}}
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

/// How the site is served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The folder that is served, relative to the app.
    pub(crate) root: String,
    /// Whether `/about` gives `about.html`.
    pub(crate) clean_urls: bool,
    /// The file, relative to the root, that is sent with status 404.
    pub(crate) error_page: Option<String>,
    /// Files, relative to the root, for paths without a file of their own. `*` stands for text without a slash, `**`
    /// for any text.
    pub(crate) routes: BTreeMap<String, String>,
    /// Accepted as `false`, its default; this server is behind a router that knows what came over TLS.
    https_only: bool,
}

/// Why `static.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidConfig {
    #[error("reading static.json: {0}")]
    Read(io::Error),
    #[error("static.json is not what the file server understands: {0}")]
    Parse(serde_json::Error),
}

impl Config {
    /// Reads it from the app's folder; without the file everything has its default. The root is then `public_html`, or
    /// the app's own folder if it has an `index.html` there.
    pub(crate) fn read(app: &Path) -> Result<Self, InvalidConfig> {
        let mut config: Self = match fs::read(app.join("static.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(InvalidConfig::Parse)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(InvalidConfig::Read(error)),
        };
        if config.root.is_empty() {
            let default = if app.join("index.html").is_file() { "." } else { "public_html" };
            config.root.push_str(default);
        }
        Ok(config)
    }

    /// Whether the app's own folder is served, where the files that configure it lie too.
    pub(crate) fn serves_the_app_folder(&self) -> bool {
        Path::new(&self.root).components().all(|part| part == std::path::Component::CurDir)
    }

    /// The file for a path without one of its own; of several patterns that fit the longest decides.
    pub(crate) fn route(&self, path: &str) -> Option<&str> {
        let fitting = self.routes.iter().filter(|(pattern, _)| fits(pattern.as_bytes(), path.as_bytes()));
        fitting.max_by_key(|(pattern, _)| pattern.len()).map(|(_, file)| file.trim_start_matches('/'))
    }
}

/// Whether a path fits a pattern. Both are short, and each star is tried once per place: quadratic at worst per star,
/// which is bounded by who wrote the pattern, the app itself.
fn fits(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|start| fits(rest, path.get(start..).unwrap_or_default())),
        [b'*', rest @ ..] => {
            let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            (0..=end).any(|start| fits(rest, path.get(start..).unwrap_or_default()))
        }
        [first, rest @ ..] => path.split_first().is_some_and(|(byte, path)| byte == first && fits(rest, path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [
            ("/**", "/any/thing", true),
            ("/*", "/any/thing", false),
            ("/*", "/any", true),
            ("/app/**", "/app/x/y", true),
            ("/app/**", "/other", false),
            ("/a*c", "/abc", true),
            ("/a", "/a", true),
            ("/a", "/ab", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(fits(pattern.as_bytes(), path.as_bytes()), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_longest_route_decides() {
        let json = r#"{"routes": {"/**": "/index.html", "/api/**": "api.html"}}"#;
        let config: Config = serde_json::from_str(json).unwrap();
        assert_eq!(config.route("/x"), Some("index.html"));
        assert_eq!(config.route("/api/x"), Some("api.html"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"proxies": {}}"#).is_err());
    }
}
