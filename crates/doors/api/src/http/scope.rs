//! What a token may do (Heroku Dev Center, "OAuth", "Scopes").

use http::Method;

use crate::http::error::{Error, Result};

/// Scopes an authorization can have.
const ALL: [&str; 6] = ["global", "identity", "read", "write", "read-protected", "write-protected"];

/// Refuses a list of scopes that is empty or has one there is not.
pub(crate) fn known(scopes: &[String]) -> Result<()> {
    if !scopes.is_empty() && scopes.iter().all(|one| ALL.contains(&one.as_str())) {
        return Ok(());
    }
    Err(Error::invalid(format!("Scopes are {}.", ALL.join(", "))))
}

/// Whether a token of these scopes may do `method` on the endpoint `path` (a pattern of the router).
///
/// `identity` reads the account; `read` and `write` cover all but the account's authorizations and config vars;
/// config vars want the `-protected` ones; `global` covers everything.
pub(crate) fn allows(scopes: &[String], method: &Method, path: &str) -> bool {
    scopes.iter().any(|scope| one_allows(scope, method, path))
}

fn one_allows(scope: &str, method: &Method, path: &str) -> bool {
    let reads = method == Method::GET;
    let protected = path.ends_with("/config-vars");
    match scope {
        "global" => true,
        _ if path.starts_with("/oauth/") => false,
        _ if path == "/account" && reads => true,
        "read" => reads && !protected,
        "write" => !protected,
        "read-protected" => reads,
        "write-protected" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_covers_what_it_says() {
        let may = |scope: &str, method: Method, path: &str| allows(&[scope.to_owned()], &method, path);
        assert!(may("global", Method::POST, "/oauth/authorizations"));
        assert!(!may("write-protected", Method::POST, "/oauth/authorizations"));
        assert!(may("identity", Method::GET, "/account") && !may("identity", Method::GET, "/apps"));
        assert!(may("read", Method::GET, "/apps") && !may("read", Method::POST, "/apps"));
        assert!(!may("write", Method::GET, "/apps/{app}/config-vars"));
        assert!(may("read-protected", Method::GET, "/apps/{app}/config-vars"));
        assert!(!may("read-protected", Method::PATCH, "/apps/{app}/config-vars"));
        assert!(may("write-protected", Method::PATCH, "/apps/{app}/config-vars"));
    }
}
