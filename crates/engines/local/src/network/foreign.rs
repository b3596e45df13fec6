//! Firewalls of others that drop what a host forwards: docker's, ufw's, firewalld's, an operator's own.
//!
//! A packet passes every base chain of a hook in the order of their priorities. `accept` ends one chain and the packet
//! goes on to the next; `drop` is final (nft(8), "Verdict statement"). So no rule of ours, however early it stands,
//! lets a packet through a later chain whose policy is to drop: the rule must stand in that very chain. It is put at
//! its head, for the dynos' links alone, and put back within seconds when a reload of its owner took it away; into
//! `DOCKER-USER` where docker keeps one, which docker never empties. What dynos may reach our own table has decided
//! before.
//!
//! | chain | seen by | rules put in by |
//! |---|---|---|
//! | of iptables-nft (`ip filter FORWARD`) | nft | iptables-nft, so that it still knows its table |
//! | of iptables-legacy | `/proc/net/ip_tables_names` | iptables-legacy |
//! | any other of family ip or inet | nft | nft |

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use super::nft;

/// Where Debian and Ubuntu have iptables.
const FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];
/// Of the namespace of whoever asks, which in tests is not that of the process.
const LEGACY_TABLES: &str = "/proc/thread-self/net/ip_tables_names";
/// How often a rule of ours that stands twice is deleted.
const MOST: usize = 8;

/// A chain that would drop what dynos send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What it is called: `table ip filter, chain FORWARD`.
    pub chain: String,
    /// Whether rules of ours let the dynos' packets through.
    pub open: bool,
    way: Way,
}

/// How rules are put into a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Iptables { program: PathBuf, chain: String },
    Nft { family: String, table: String, chain: String },
}

/// The chains of this host that drop what is forwarded, and whether the dynos of `install` pass them.
pub async fn obstacles(nft: &Path, install: &str) -> io::Result<Vec<Obstacle>> {
    let mut found = Vec::new();
    for (family, table, chain) in dropping(nft).await? {
        let told = format!("table {family} {table}, chain {chain}");
        let way = match iptables_of_nft() {
            Some(program) if (family.as_str(), table.as_str(), chain.as_str()) == ("ip", "filter", "FORWARD") => {
                through_iptables(program).await?
            }
            _ => Way::Nft { family, table, chain },
        };
        found.push(Obstacle { chain: told, open: is_open(nft, &way, install).await?, way });
    }
    if let Some(program) = legacy().await? {
        let way = through_iptables(program).await?;
        let chain = "table filter of iptables-legacy, chain FORWARD".to_owned();
        found.push(Obstacle { chain, open: is_open(nft, &way, install).await?, way });
    }
    Ok(found)
}

/// Opens what is not open; answers the chains it opened.
pub(super) async fn open(nft: &Path, install: &str) -> Result<Vec<String>, nft::Error> {
    let mut opened = Vec::new();
    for obstacle in obstacles(nft, install).await?.into_iter().filter(|obstacle| !obstacle.open) {
        match &obstacle.way {
            Way::Iptables { program, chain } => {
                // One of the two may be there.
                close_iptables(program, install).await?;
                for rule in iptables_rules(install) {
                    let mut args = vec!["-I".to_owned(), chain.clone(), "1".to_owned()];
                    args.extend(rule);
                    refused(&iptables(program, &args).await?)?;
                }
            }
            Way::Nft { family, table, chain } => {
                close_nft(nft, (family, table, chain), install).await?;
                nft::apply(nft, &nft_rules((family, table, chain), install)).await?;
            }
        }
        opened.push(obstacle.chain);
    }
    Ok(opened)
}

/// Takes the rules of an install out of every chain of others, also out of one that drops no more.
pub async fn close(nft: &Path, install: &str) -> Result<(), nft::Error> {
    for (family, table, chain) in forward_chains(&chains(nft).await?).iter().map(place) {
        close_nft(nft, (&family, &table, &chain), install).await?;
    }
    if let Some(program) = iptables_of_nft()
        && nft::run(nft, &["list", "table", "ip", "filter"]).await?.status.success()
    {
        close_iptables(&program, install).await?;
    }
    if let Some(program) = legacy_with_rules().await {
        close_iptables(&program, install).await?;
    }
    Ok(())
}

/// Family, table and name of the forward chains that drop what no rule of theirs accepts.
async fn dropping(nft: &Path) -> io::Result<Vec<(String, String, String)>> {
    let mut found = Vec::new();
    for chain in forward_chains(&chains(nft).await?) {
        let (family, table, name) = place(&chain);
        let drops = chain["policy"] == "drop" || {
            let listed = nft::run(nft, &["-j", "list", "chain", &family, &table, &name]).await?;
            ends_in_a_refusal(&parsed(&listed))
        };
        if drops {
            found.push((family, table, name));
        }
    }
    Ok(found)
}

async fn chains(nft: &Path) -> io::Result<Value> {
    Ok(parsed(&nft::run(nft, &["-j", "list", "chains"]).await?))
}

/// A chain's family, table and name.
fn place(chain: &Value) -> (String, String, String) {
    let of = |key: &str| chain[key].as_str().unwrap_or_default().to_owned();
    (of("family"), of("table"), of("name"))
}

/// The base chains of others that see what dynos send.
fn forward_chains(document: &Value) -> Vec<Value> {
    let ours = |chain: &Value| chain["table"].as_str().is_some_and(|table| table.starts_with("slipway-"));
    let sees = |chain: &Value| {
        chain["hook"] == "forward" && ["ip", "inet"].iter().any(|family| chain["family"] == *family) && !ours(chain)
    };
    parts(document).iter().map(|part| part["chain"].clone()).filter(sees).collect()
}

/// Whether the last rule refuses whatever gets to it, as firewalld's does.
fn ends_in_a_refusal(document: &Value) -> bool {
    let last = parts(document).iter().rev().find_map(|part| part["rule"]["expr"].as_array());
    let verdict = |word: &Value| word.get("drop").is_some() || word.get("reject").is_some();
    let passes = |word: &Value| word.get("counter").is_some();
    last.is_some_and(|words| words.iter().any(verdict) && words.iter().all(|word| verdict(word) || passes(word)))
}

fn parts(document: &Value) -> &[Value] {
    document["nftables"].as_array().map_or(&[], Vec::as_slice)
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// iptables-legacy, if its forward chain drops.
async fn legacy() -> io::Result<Option<PathBuf>> {
    let Some(program) = legacy_with_rules().await else { return Ok(None) };
    let rules = iptables(&program, &["-S".to_owned(), "FORWARD".to_owned()]).await?;
    Ok(Some(program).filter(|_| legacy_drops(&String::from_utf8_lossy(&rules.stdout))))
}

/// iptables-legacy, if it has its table. Asking it for a table makes that table, so the kernel is asked.
async fn legacy_with_rules() -> Option<PathBuf> {
    let tables = tokio::fs::read_to_string(LEGACY_TABLES).await.unwrap_or_default();
    program("iptables-legacy").filter(|_| tables.lines().any(|table| table == "filter"))
}

fn iptables_of_nft() -> Option<PathBuf> {
    ["iptables-nft", "iptables"].into_iter().find_map(program)
}

fn legacy_drops(rules: &str) -> bool {
    let last = rules.lines().last().unwrap_or_default();
    let refuses = ["-A FORWARD -j DROP", "-A FORWARD -j REJECT"].iter().any(|refusal| last.starts_with(refusal));
    refuses || rules.lines().any(|line| line == "-P FORWARD DROP")
}

/// `DOCKER-USER`, where docker leads packets into it, or `FORWARD`.
async fn through_iptables(program: PathBuf) -> io::Result<Way> {
    let jump = ["-C", "FORWARD", "-j", "DOCKER-USER"].map(str::to_owned);
    let docker = iptables(&program, &jump).await?.status.success();
    Ok(Way::Iptables { program, chain: if docker { "DOCKER-USER" } else { "FORWARD" }.to_owned() })
}

async fn is_open(nft: &Path, way: &Way, install: &str) -> io::Result<bool> {
    match way {
        Way::Iptables { program, chain } => {
            for rule in iptables_rules(install) {
                let mut args = vec!["-C".to_owned(), chain.clone()];
                args.extend(rule);
                if !iptables(program, &args).await?.status.success() {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Way::Nft { family, table, chain } => Ok(handles(nft, (family, table, chain), install).await?.len() == 2),
    }
}

/// From the dynos, and answers to them; nobody opens a connection to a dyno from outside.
fn iptables_rules(install: &str) -> [Vec<String>; 2] {
    let (links, comment) = (format!("{install}-+"), mark(install));
    let rule = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let end = ["-m", "comment", "--comment", &comment, "-j", "ACCEPT"];
    let answers = ["-o", &links, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"];
    [rule(&[&["-i", &links][..], &end].concat()), rule(&[&answers[..], &end].concat())]
}

fn nft_rules((family, table, chain): (&str, &str, &str), install: &str) -> Value {
    let links = format!("{install}-*");
    let on = |key: &str| json!({"match": {"op": "==", "left": {"meta": {"key": key}}, "right": links}});
    let answers = json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}});
    let accept = json!({"accept": null});
    let rule = |expr: Value| {
        json!({"insert": {"rule": {"family": family, "table": table, "chain": chain, "comment": mark(install),
            "expr": expr}}})
    };
    json!({"nftables": [rule(json!([on("iifname"), accept])), rule(json!([on("oifname"), answers, accept]))]})
}

async fn close_iptables(program: &Path, install: &str) -> io::Result<()> {
    for chain in ["FORWARD", "DOCKER-USER"] {
        for rule in iptables_rules(install) {
            let mut args = vec!["-D".to_owned(), chain.to_owned()];
            args.extend(rule);
            for _ in 0..MOST {
                if !iptables(program, &args).await?.status.success() {
                    break;
                }
            }
        }
    }
    Ok(())
}

async fn close_nft(nft: &Path, place: (&str, &str, &str), install: &str) -> io::Result<()> {
    let (family, table, chain) = place;
    for handle in handles(nft, place, install).await? {
        // It may have gone by itself.
        nft::run(nft, &["delete", "rule", family, table, chain, "handle", &handle.to_string()]).await?;
    }
    Ok(())
}

/// Our rules in a chain.
async fn handles(nft: &Path, (family, table, chain): (&str, &str, &str), install: &str) -> io::Result<Vec<u64>> {
    let listed = nft::run(nft, &["-j", "list", "chain", family, table, chain]).await?;
    let ours = |rule: &&Value| rule["comment"] == mark(install);
    let document = parsed(&listed);
    Ok(parts(&document)
        .iter()
        .map(|part| &part["rule"])
        .filter(ours)
        .filter_map(|rule| rule["handle"].as_u64())
        .collect())
}

fn mark(install: &str) -> String {
    format!("slipway-{install}")
}

fn program(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

async fn iptables(program: &Path, args: &[String]) -> io::Result<Output> {
    let mut command = Command::new(program);
    // -w: others change tables at the same time.
    command.args(["-w", "2"]).args(args).env_clear().current_dir("/").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().await
}

fn refused(output: &Output) -> Result<(), nft::Error> {
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(nft::Error::Refused(reason.lines().next().unwrap_or("no reason given").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nft lists a host with docker, firewalld, an IPv6 table and ours.
    const CHAINS: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
        {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
        {"chain": {"family": "ip6", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
        {"chain": {"family": "inet", "table": "firewalld", "name": "filter_FORWARD", "hook": "forward", "policy": "accept"}},
        {"chain": {"family": "inet", "table": "slipway-abcdef", "name": "forwarded", "hook": "forward", "policy": "accept"}},
        {"chain": {"family": "ip", "table": "filter", "name": "DOCKER-USER"}}]}"#;

    #[test]
    fn chains_of_others_that_forward_are_seen() {
        let chains = forward_chains(&serde_json::from_str(CHAINS).unwrap());
        let names: Vec<&str> = chains.iter().filter_map(|chain| chain["table"].as_str()).collect();
        assert_eq!(names, ["filter", "firewalld"]);
    }

    #[test]
    fn a_last_rule_that_refuses_everything_is_a_refusal() {
        let ends = |rules: &str| {
            let document = format!(r#"{{"nftables": [{{"chain": {{}}}}, {rules}]}}"#);
            ends_in_a_refusal(&serde_json::from_str(&document).unwrap())
        };
        let reject = r#"{"rule": {"expr": [{"counter": {}}, {"reject": {"type": "icmpx"}}]}}"#;
        let some = r#"{"rule": {"expr": [{"match": {"op": "=="}}, {"drop": null}]}}"#;
        assert!(ends(reject) && ends(r#"{"rule": {"expr": [{"drop": null}]}}"#));
        assert!(!ends(some) && !ends(&format!("{reject}, {some}")));
        assert!(ends(&format!("{some}, {reject}")));
    }

    #[test]
    fn a_legacy_chain_that_drops_is_seen() {
        assert!(legacy_drops("-P FORWARD DROP\n-A FORWARD -i a -j ACCEPT\n"));
        assert!(legacy_drops("-P FORWARD ACCEPT\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n"));
        assert!(!legacy_drops("-P FORWARD ACCEPT\n-A FORWARD -i a -j DROP\n"));
    }
}
