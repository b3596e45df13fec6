//! The firewall of one install as a document for `nft -j`: what a dyno may reach, decided in one place.
//!
//! Knows addresses and link names; runs nothing. The table belongs to us alone and is replaced as a whole in one
//! transaction, so that there is no moment without rules.
//!
//! | from a dyno to | |
//! |---|---|
//! | an established connection's other end | yes |
//! | anything over IPv6 | no |
//! | the install's DNS forwarder, port 53 | yes |
//! | the host, whatever its address | no |
//! | another dyno | no |
//! | what `egress_allow` names | yes |
//! | private, link-local, shared and test ranges | no |
//! | the rest of the world, up to the limits below | yes |
//!
//! Towards a dyno, the host may connect and nobody else.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use vocabulary::{EgressAllow, first_address};

/// Where a dyno never gets to unless `egress_allow` says so: RFC 6890 and the ranges other dynos live in.
const PRIVATE: [(&str, u8); 14] = [
    ("0.0.0.0", 8),
    ("10.0.0.0", 8),
    ("100.64.0.0", 10),
    ("127.0.0.0", 8),
    ("169.254.0.0", 16),
    ("172.16.0.0", 12),
    ("192.0.0.0", 24),
    ("192.0.2.0", 24),
    ("192.88.99.0", 24),
    ("192.168.0.0", 16),
    ("198.18.0.0", 15),
    ("198.51.100.0", 24),
    ("203.0.113.0", 24),
    ("224.0.0.0", 3),
];

/// Whether dynos and builds reach an address only if `egress_allow` says so.
#[must_use]
pub fn is_private(address: Ipv4Addr) -> bool {
    let contains = |range: &str, prefix| {
        range.parse().is_ok_and(|start| first_address(address, prefix) == first_address(start, prefix))
    };
    PRIVATE.iter().any(|(range, prefix)| contains(range, *prefix))
}

/// Connections one dyno may have open to the outside at once; the kernel's table holds 262,144 for all.
const CONNECTIONS: u32 = 8192;
/// New connections one dyno may open per second, and how many at once after a pause.
const CONNECTIONS_PER_SECOND: u32 = 1000;
const BURST: u32 = 4000;

/// What the rules are made from.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    /// The table's name.
    pub(super) table: &'a str,
    /// The dynos' links begin with it.
    pub(super) links: &'a str,
    /// The dynos' range.
    pub(super) range: (Ipv4Addr, u8),
    /// The DNS forwarder.
    pub(super) resolver: Ipv4Addr,
    /// The exceptions.
    pub(super) allow: &'a [EgressAllow],
}

impl Rules<'_> {
    /// The document that replaces the table by this one.
    pub(super) fn document(&self) -> Value {
        let table = json!({"table": {"family": "inet", "name": self.table}});
        let mut commands = vec![json!({"add": table}), json!({"delete": table}), json!({"add": table})];
        commands.extend(self.sets());
        commands.extend(self.chains());
        commands.extend(self.rules());
        json!({"nftables": commands})
    }

    /// How many rules a whole table has.
    pub(super) fn count(&self) -> usize {
        self.rules().len()
    }

    fn set(&self, name: &str, kind: &Value, flags: &[&str], elements: &[Value]) -> Value {
        let mut set = json!({"family": "inet", "table": self.table, "name": name, "type": kind, "flags": flags});
        if !elements.is_empty() {
            set["elem"] = json!(elements);
        }
        json!({"add": {"set": set}})
    }

    fn sets(&self) -> Vec<Value> {
        let range = |(address, len): (&str, u8)| json!({"prefix": {"addr": address, "len": len}});
        // A set refuses an element twice, and operators repeat themselves.
        let allow: BTreeSet<&EgressAllow> = self.allow.iter().collect();
        let prefix = |allow: &EgressAllow| range((&allow.address.to_string(), allow.prefix));
        let whole: Vec<Value> = allow.iter().filter(|allow| allow.port.is_none()).map(|allow| prefix(allow)).collect();
        let ports = allow.iter().filter_map(|allow| Some(json!({"concat": [prefix(allow), allow.port?]})));
        let mut whole = self.set("allow", &json!("ipv4_addr"), &["interval"], &whole);
        whole["add"]["set"]["auto-merge"] = json!(true);
        vec![
            whole,
            self.set("allow_ports", &json!(["ipv4_addr", "inet_service"]), &["interval"], &ports.collect::<Vec<_>>()),
            self.set("private", &json!("ipv4_addr"), &["interval"], &PRIVATE.map(range)),
        ]
    }

    fn chains(&self) -> Vec<Value> {
        let plain = |name: &str| json!({"family": "inet", "table": self.table, "name": name});
        let base = |name: &str, kind: &str, hook: &str, priority: i32| {
            let mut chain = plain(name);
            chain["type"] = json!(kind);
            chain["hook"] = json!(hook);
            chain["prio"] = json!(priority);
            chain["policy"] = json!("accept");
            chain
        };
        // Before the filters of others (0), so that our verdict on dynos stands first.
        let chains = [
            plain("from_dyno"),
            plain("to_host"),
            base("forwarded", "filter", "forward", -5),
            base("incoming", "filter", "input", -5),
            base("leaving", "nat", "postrouting", 100),
        ];
        chains.into_iter().map(|chain| json!({"add": {"chain": chain}})).collect()
    }

    fn rules(&self) -> Vec<Value> {
        let rule = |chain: &str, expr: Vec<Value>| json!({"add": {"rule": {"family": "inet", "table": self.table, "chain": chain, "expr": expr}}});
        let links = format!("{}*", self.links);
        let from = equals(&meta("iifname"), &json!(links));
        let to = equals(&meta("oifname"), &json!(links));
        let (address, len) = (self.range.0.to_string(), self.range.1);
        let dynos = equals(&ip("saddr"), &json!({"prefix": {"addr": address, "len": len}}));
        let elsewhere = json!({"match": {"op": "!=", "left": meta("oifname"), "right": links}});
        let mut rules = vec![
            rule("forwarded", vec![from.clone(), jump("from_dyno")]),
            rule("forwarded", vec![to.clone(), established(), accept()]),
            rule("forwarded", vec![to.clone(), drop()]),
            rule("incoming", vec![from, jump("to_host")]),
            rule("leaving", vec![dynos, elsewhere, json!({"masquerade": null})]),
        ];
        rules.extend(self.to_host().into_iter().map(|expr| rule("to_host", expr)));
        rules.extend(from_dyno(to).into_iter().map(|expr| rule("from_dyno", expr)));
        rules
    }

    fn to_host(&self) -> Vec<Vec<Value>> {
        let resolver = equals(&ip("daddr"), &json!(self.resolver.to_string()));
        let port = |protocol: &str| equals(&payload(protocol, "dport"), &json!(53));
        vec![
            vec![established(), accept()],
            vec![resolver.clone(), port("udp"), accept()],
            vec![resolver, port("tcp"), accept()],
            vec![refuse()],
        ]
    }
}

fn from_dyno(to_dyno: Value) -> Vec<Vec<Value>> {
    // nft 1.0's documents know no flag for dynamic sets, so these are meters, which are such sets.
    let each = |name: &str, stmt: Value| json!({"meter": {"name": name, "key": ip("saddr"), "stmt": stmt}});
    let many = each("connections", json!({"ct count": {"val": CONNECTIONS, "inv": true}}));
    let rate = json!({"rate": CONNECTIONS_PER_SECOND, "burst": BURST, "per": "second", "inv": true});
    let fast = each("openings", json!({"limit": rate}));
    let protocols = json!({"set": ["tcp", "udp"]});
    let place = json!({"concat": [ip("daddr"), payload("th", "dport")]});
    vec![
        vec![established(), accept()],
        vec![equals(&json!({"ct": {"key": "state"}}), &json!("invalid")), drop()],
        vec![equals(&meta("nfproto"), &json!("ipv6")), refuse()],
        vec![to_dyno, refuse()],
        vec![fast, drop()],
        vec![many, drop()],
        vec![equals(&ip("daddr"), &json!("@allow")), accept()],
        vec![equals(&meta("l4proto"), &protocols), equals(&place, &json!("@allow_ports")), accept()],
        vec![equals(&ip("daddr"), &json!("@private")), refuse()],
        vec![accept()],
    ]
}

fn equals(left: &Value, right: &Value) -> Value {
    json!({"match": {"op": "==", "left": left, "right": right}})
}

fn established() -> Value {
    json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}})
}

fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

fn payload(protocol: &str, field: &str) -> Value {
    json!({"payload": {"protocol": protocol, "field": field}})
}

fn ip(field: &str) -> Value {
    payload("ip", field)
}

fn jump(chain: &str) -> Value {
    json!({"jump": {"target": chain}})
}

fn accept() -> Value {
    json!({"accept": null})
}

fn drop() -> Value {
    json!({"drop": null})
}

/// Refusing tells an app at once what dropping would tell it after minutes.
fn refuse() -> Value {
    json!({"reject": {"type": "icmpx", "expr": "admin-prohibited"}})
}
