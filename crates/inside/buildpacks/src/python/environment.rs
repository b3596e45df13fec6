//! The variables the installers, hooks and the app's own commands see: Heroku exports the config vars to them.

use crate::builtin::Site;
use crate::environment::{CERTIFICATES, Environment, read_config_vars, source};
use crate::error::BuildError;

/// Makes it.
pub(super) fn create(site: &Site<'_>) -> Result<Environment, BuildError> {
    let config_vars = read_config_vars(site.config_vars).map_err(BuildError::io("reading the config vars"))?;
    let mut env = site.env.clone();
    env.extend(config_vars);
    // Variables of an app that would lead its Python elsewhere have no business here; at run time they have.
    for name in ["PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"] {
        env.remove(name);
    }
    let python = site.layout.runtimes().join("python");
    let path = env.get("PATH").cloned().unwrap_or_default();
    env.insert("PATH".to_owned(), format!("{}:{path}", python.join("bin").display()));
    env.insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
    let mut default = |name: &str, value: &str| {
        env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    };
    // The builds of python-build-standalone remember another compiler, which the stack does not have.
    default("CC", "gcc");
    default("CXX", "g++");
    quiet(&mut default, site);
    Ok(env)
}

/// What the installers should not do in a build, and where they find packages and certificates.
fn quiet(default: &mut impl FnMut(&str, &str), site: &Site<'_>) {
    let path = |below: &str| site.layout.work.join(below).display().to_string();
    for (name, value) in [
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_NO_INPUT", "1"),
        // In its user namespace nobody is root, but tests may be.
        ("PIP_ROOT_USER_ACTION", "ignore"),
        ("PIP_PROGRESS_BAR", "off"),
        // Packages are kept as they were installed; archives of them are not worth their room in the cache.
        ("PIP_NO_CACHE_DIR", "1"),
        // All are compiled together, see `packages`.
        ("PIP_NO_COMPILE", "1"),
        ("UV_NO_PROGRESS", "1"),
        ("UV_PYTHON_DOWNLOADS", "never"),
        ("UV_NO_MANAGED_PYTHON", "1"),
        ("UV_LINK_MODE", "copy"),
    ] {
        default(name, value);
    }
    default("PIP_SRC", &site.build.join(".heroku/src").display().to_string());
    default("UV_CACHE_DIR", &path("uv-cache"));
    default("UV_PROJECT_ENVIRONMENT", &site.layout.runtimes().join("python").display().to_string());
    // uv's lockfile says itself where each package comes from; another index would make it look out of date.
    if let Some(index) = source(site.env, "pypi") {
        default("PIP_INDEX_URL", index);
    }
    if std::path::Path::new(CERTIFICATES).exists() {
        default("PIP_CERT", CERTIFICATES);
        default("SSL_CERT_FILE", CERTIFICATES);
        default("REQUESTS_CA_BUNDLE", CERTIFICATES);
    }
}
