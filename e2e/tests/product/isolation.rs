//! What a hostile dyno or build finds: nothing.

use e2e::{Client, Failure, ensure};

pub fn a_dyno_finds_nothing(client: &Client) -> Result<(), Failure> {
    let neighbour = client.deploy_app("probe")?;
    let other = client.get(&neighbour, "/address")?.text();
    let app = client.deploy_app("probe")?;
    let port = client.address().port();
    let mut targets = vec![format!("{other} 10000"), format!("198.18.0.1 {port}"), format!("10.0.0.1 {port}")];
    targets.extend(client.platform.outside().forbidden());
    targets.extend(host_addresses()?.iter().map(|address| format!("{address} {port}")));
    let query: Vec<String> = targets.iter().map(|target| format!("target={}", target.replace(' ', "+"))).collect();
    let now = client.get(&app, &format!("/?{}", query.join("&")))?.text();
    finds_nothing("the dyno", &now)?;
    finds_nothing("the build", &client.get(&app, "/build")?.text())
}

fn finds_nothing(who: &str, found: &str) -> Result<(), Failure> {
    let value = |name: &str| found.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("?");
    ensure!(!["0", "?"].contains(&value("uid")), "{who} is root:\n{found}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        ensure!(value(set).chars().all(|digit| digit == '0') && value(set).len() == 16, "{who} has {set}:\n{found}");
    }
    ensure!(value("NoNewPrivs") == "1" && value("Seccomp") == "2", "{who} may gain privileges:\n{found}");
    let found_out: Vec<&str> = found.lines().filter(|line| line.ends_with("=yes")).collect();
    ensure!(found_out.is_empty(), "{who} can: {}\n{found}", found_out.join(", "));
    for name in ["sockets", "block_devices"] {
        ensure!(value(name).is_empty(), "{who} sees {name}:\n{found}");
    }
    let known = [
        "slipway-init",
        "init",
        "node",
        "npm",
        "sh",
        "bash",
        "cat",
        "sort",
        "tr",
        "buildpacks",
        "slipway-buildpac",
        "MainThread",
    ];
    let foreign: Vec<&str> =
        value("processes").split_whitespace().filter(|name| !known.iter().any(|word| name.starts_with(word))).collect();
    ensure!(foreign.is_empty(), "{who} sees the processes {foreign:?}:\n{found}");
    ensure!(found.contains("reaches_169.254.169.254:80=no"), "{who} was not asked for metadata:\n{found}");
    Ok(())
}

/// The addresses of this machine, which dynos must not reach.
fn host_addresses() -> Result<Vec<String>, Failure> {
    let listed = e2e::run(std::process::Command::new("ip").args(["-4", "-oneline", "addr", "show"]))?.good()?;
    let addresses = listed.stdout.lines().filter_map(|line| line.split_whitespace().nth(3)?.split('/').next());
    let mut addresses: Vec<_> = addresses.filter(|address| !address.starts_with("127.")).map(str::to_owned).collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}
