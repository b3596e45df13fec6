//! The variables npm and the app's scripts see: Heroku exports the config vars to them, over these defaults.

use crate::builtin::Site;
use crate::environment::{CERTIFICATES, Environment, read_config_vars, source};
use crate::error::BuildError;

/// What Heroku sets where the app has no word of its own, in the order it is shown.
const DEFAULTS: [(&str, &str); 4] = [
    ("NPM_CONFIG_LOGLEVEL", "error"),
    ("NODE_VERBOSE", "false"),
    ("NODE_ENV", "production"),
    ("NODE_MODULES_CACHE", "true"),
];

/// Makes it and prints the section.
pub(super) fn create(site: &Site<'_>) -> Result<Environment, BuildError> {
    let config_vars = read_config_vars(site.config_vars).map_err(BuildError::io("reading the config vars"))?;
    let mut env = site.env.clone();
    env.extend(config_vars);
    site.out.text("");
    site.out.section("Creating runtime environment");
    site.out.text("");
    for (name, value) in DEFAULTS {
        let value = env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        site.out.text(&format!("{name}={value}"));
    }
    site.out.text("");
    quiet(&mut env, site);
    Ok(env)
}

/// What npm should not do in a build, and where it finds packages and certificates.
fn quiet(env: &mut Environment, site: &Site<'_>) {
    let cache = site.cache.join("npm").display().to_string();
    let mut default = |name: &str, value: &str| {
        // npm reads its settings in any case.
        if !env.keys().any(|known| known.eq_ignore_ascii_case(name)) {
            env.insert(name.to_owned(), value.to_owned());
        }
    };
    default("NPM_CONFIG_CACHE", &cache);
    // Its debug logs would land in the cache and make every build change it.
    default("NPM_CONFIG_LOGS_MAX", "0");
    default("NPM_CONFIG_FUND", "false");
    default("NPM_CONFIG_AUDIT", "false");
    default("NPM_CONFIG_UPDATE_NOTIFIER", "false");
    default("NPM_CONFIG_PROGRESS", "false");
    default("CI", "true");
    if let Some(registry) = source(site.env, "npm").filter(|_| !npmrc_has_registry(site)) {
        default("NPM_CONFIG_REGISTRY", registry);
    }
    if std::path::Path::new(CERTIFICATES).exists() {
        default("NODE_EXTRA_CA_CERTS", CERTIFICATES);
        default("SSL_CERT_FILE", CERTIFICATES);
    }
}

/// Environment wins over `.npmrc` in npm; so ours must not be set if the app's file says where to go.
fn npmrc_has_registry(site: &Site<'_>) -> bool {
    let Ok(text) = std::fs::read_to_string(site.build.join(".npmrc")) else { return false };
    text.lines().any(|line| line.split_once('=').is_some_and(|(name, _)| name.trim() == "registry"))
}
