//! Under which names apps and git are reached.

use vocabulary::AppName;

/// Under which names apps and git are reached from outside.
#[derive(Debug, Clone)]
pub struct Hosts {
    /// `http` or `https`: how apps are reached.
    pub app_scheme: &'static str,
    /// Apps are `NAME.DOMAIN`.
    pub domain: String,
    /// The port of apps, where it is not the scheme's own.
    pub app_port: Option<u16>,
    /// Host and port of git over HTTPS; where it is not set, git is where the API is.
    pub git: Option<String>,
}

impl Hosts {
    /// The host name of an app, without a port.
    #[must_use]
    pub fn app(&self, name: &AppName) -> String {
        format!("{name}.{}", self.domain)
    }

    /// `http://sushi.localhost:5080/`.
    #[must_use]
    pub fn web_url(&self, name: &AppName) -> String {
        format!("{}://{}{}/", self.app_scheme, self.app(name), self.port())
    }

    /// `https://git.example/sushi.git`; git addresses are always `https` (the CLI makes them so).
    #[must_use]
    pub fn git_url(&self, name: &AppName, api_host: &str) -> String {
        format!("https://{}/{name}.git", self.git.as_deref().unwrap_or(api_host))
    }

    /// Where the API is for those who did not come by any name of it.
    #[must_use]
    pub fn api(&self) -> String {
        format!("{}{}", self.domain, self.port())
    }

    fn port(&self) -> String {
        self.app_port.map(|port| format!(":{port}")).unwrap_or_default()
    }
}
