//! What a dyno finds in its environment.

use std::collections::BTreeMap;

use inside_contract::APP;
use store::apps::ConfigVars;
use vocabulary::DynoId;

/// Where programs are looked for before `.profile.d` adds the app's own; a config var of the name replaces it, as at
/// Heroku.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The first port, and how many there are: 10000 to 29999.
const PORTS: (u16, u16) = (10_000, 20_000);

/// The config vars of the release, then what the platform says, which wins: `DYNO`, `PS` (its old name), `HOME`,
/// `PWD`, and for a web dyno `PORT`.
#[must_use]
pub fn environment(config: &ConfigVars, name: &str, port: Option<u16>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
    env.extend(config.iter().map(|(name, value)| (name.as_str().to_owned(), value.reveal().to_owned())));
    for (key, value) in [("DYNO", name), ("PS", name), ("HOME", APP), ("PWD", APP)] {
        env.insert(key.to_owned(), value.to_owned());
    }
    if let Some(port) = port {
        env.insert("PORT".to_owned(), port.to_string());
    }
    env
}

/// The port of a web dyno: the same each time the same id is started. Two dynos may share one, as each has a network
/// of its own.
#[must_use]
pub fn port(id: DynoId) -> u16 {
    // The low bits of an id are random; its high bits are the time.
    let random = id.uuid().as_u128() % u128::from(PORTS.1);
    PORTS.0 + u16::try_from(random).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use vocabulary::Secret;

    use super::*;

    #[test]
    fn the_platforms_values_win_and_path_is_a_default() {
        let config = ["DYNO", "PORT", "PATH", "FOO"].map(|name| (name.parse().unwrap(), Secret::new("mine"))).into();
        let env = environment(&config, "web.1", Some(12_345));
        assert_eq!((env["DYNO"].as_str(), env["PORT"].as_str()), ("web.1", "12345"));
        assert_eq!((env["PATH"].as_str(), env["FOO"].as_str(), env["HOME"].as_str()), ("mine", "mine", "/app"));
        let env = environment(&ConfigVars::new(), "worker.1", None);
        assert_eq!((env["PATH"].as_str(), env.get("PORT")), (PATH, None));
    }

    #[test]
    fn a_port_stays_with_its_dyno_and_in_its_range() {
        for _ in 0..1000 {
            let id = DynoId::new();
            assert!((10_000..30_000).contains(&port(id)));
            assert_eq!(port(id), port(id));
        }
    }
}
