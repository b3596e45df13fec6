//! The network with real namespaces, nft and the real forwarder. Each test is a host of its own: a fresh namespace in
//! which everything stands. Needs root.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Kind;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use local::network::{Network, NetworkConfig, foreign, repair};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const PUBLIC: Ipv4Addr = Ipv4Addr::new(45, 45, 45, 45);
const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 88, 77, 1);
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Runs `test` in a host of its own.
fn on_a_host<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    sys::namespace::enter_new_network().unwrap();
    ip(&["link", "set", "lo", "up"]);
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
}

fn ip(args: &[&str]) {
    assert!(Command::new("ip").args(args).status().unwrap().success(), "ip {args:?}");
}

fn nft(args: &[&str]) -> String {
    let output = Command::new("nft").args(args).output().unwrap();
    assert!(output.status.success(), "nft {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn config(allow: &[&str]) -> NetworkConfig {
    NetworkConfig {
        install: "test".to_owned(),
        range: (Ipv4Addr::new(198, 18, 0, 0), 16),
        egress_allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
        nft: "/usr/sbin/nft".into(),
        forwarder: vec![env!("CARGO_BIN_EXE_engine-child").to_owned(), "forwarder".to_owned()],
        forwarder_uid: 64_998,
    }
}

struct Dyno {
    netns: Arc<OwnedFd>,
    address: Ipv4Addr,
}

async fn dyno(network: &Network) -> Dyno {
    let netns = sys::namespace::new_network().unwrap();
    let address = network.reserve().unwrap();
    network.attach(netns.as_fd(), address, Kind::Dyno).await.unwrap();
    Dyno { netns: Arc::new(netns), address }
}

/// Does `work` inside a namespace.
async fn inside<T: Send + 'static>(netns: &Arc<OwnedFd>, work: impl FnOnce() -> T + Send + 'static) -> T {
    let netns = Arc::clone(netns);
    let (answer, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        answer.send(work()).ok().unwrap();
    });
    wait.await.unwrap()
}

/// Serves "hello" on port 80 of every address in a namespace.
async fn serve(netns: &Arc<OwnedFd>) {
    inside(netns, || say_hello(TcpListener::bind("0.0.0.0:80").unwrap())).await;
}

fn say_hello(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop((&stream).write_all(b"hello"));
        }
    });
}

fn fetch(address: Ipv4Addr, port: u16) -> Result<String, ErrorKind> {
    let place = SocketAddr::from((address, port));
    let mut stream = TcpStream::connect_timeout(&place, Duration::from_secs(1)).map_err(|error| error.kind())?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|error| error.kind())?;
    Ok(text)
}

impl Dyno {
    async fn gets(&self, address: Ipv4Addr) -> bool {
        inside(&self.netns, move || fetch(address, 80)).await.is_ok_and(|text| text == "hello")
    }
}

/// A machine behind the host's uplink that has all these addresses.
async fn outside() -> Arc<OwnedFd> {
    let netns = Arc::new(sys::namespace::new_network().unwrap());
    ip(&["link", "add", "up0", "type", "veth", "peer", "name", "up1"]);
    let target = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&*netns));
    ip(&["link", "set", "up1", "netns", &target]);
    ip(&["addr", "add", "172.30.0.1/24", "dev", "up0"]);
    ip(&["link", "set", "up0", "up", "mtu", "1400"]);
    inside(&netns, || {
        ip(&["link", "set", "lo", "up"]);
        ip(&["addr", "add", "172.30.0.2/24", "dev", "up1"]);
        for address in [PUBLIC, PRIVATE, METADATA] {
            ip(&["addr", "add", &format!("{address}/32"), "dev", "lo"]);
        }
        ip(&["link", "set", "up1", "up"]);
    })
    .await;
    ip(&["route", "add", "default", "via", "172.30.0.2"]);
    serve(&netns).await;
    netns
}

async fn until<F: AsyncFnMut() -> bool>(limit: Duration, mut holds: F) -> Duration {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < limit, "it did not happen within {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

#[test]
fn a_dyno_reaches_the_world_and_nothing_near() {
    on_a_host(async || {
        let _outside = outside().await;
        let network = Network::set_up(&config(&[])).await.unwrap();
        let (one, two) = (dyno(&network).await, dyno(&network).await);
        serve(&one.netns).await;
        serve(&two.netns).await;
        say_hello(TcpListener::bind("0.0.0.0:80").unwrap());

        let address = one.address;
        assert_eq!(
            tokio::task::spawn_blocking(move || fetch(address, 80)).await.unwrap(),
            Ok("hello".to_owned()),
            "host to dyno"
        );
        assert!(one.gets(one.address).await, "itself");
        assert!(one.gets(PUBLIC).await, "the world");
        assert!(!one.gets(two.address).await, "another dyno");
        assert!(!one.gets(PRIVATE).await, "a private range");
        assert!(!one.gets(METADATA).await, "metadata");
        for host in [Ipv4Addr::new(172, 30, 0, 1), Ipv4Addr::new(169, 254, 77, 1), network.resolver()] {
            assert!(!one.gets(host).await, "the host as {host}");
        }
        let mtu =
            inside(&one.netns, || std::fs::read_to_string("/proc/self/net/dev").map(|_| link_mtu())).await.unwrap();
        assert_eq!(mtu, 1400, "the uplink's");
    });
}

fn link_mtu() -> u32 {
    let output = Command::new("ip").args(["-j", "link", "show", "eth0"]).output().unwrap();
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    u32::try_from(links[0]["mtu"].as_u64().unwrap()).unwrap()
}

#[test]
fn nobody_outside_reaches_a_dyno_and_a_dyno_cannot_pose_as_another() {
    on_a_host(async || {
        let outside = outside().await;
        let network = Network::set_up(&config(&[])).await.unwrap();
        let one = dyno(&network).await;
        serve(&one.netns).await;
        inside(&outside, || ip(&["route", "add", "198.18.0.0/16", "via", "172.30.0.1"])).await;
        let address = one.address;
        assert!(inside(&outside, move || fetch(address, 80)).await.is_err());
        let (victim, posing) = (network.reserve().unwrap(), dyno(&network).await);
        inside(&posing.netns, move || {
            ip(&["addr", "add", &format!("{victim}/32"), "dev", "eth0"]);
            ip(&["route", "replace", "default", "via", "169.254.77.1", "dev", "eth0", "src", &victim.to_string()]);
        })
        .await;
        let listener = inside(&outside, || UdpSocket::bind((PUBLIC, 9999)).unwrap()).await;
        listener.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let send = |from: Ipv4Addr| move || UdpSocket::bind((from, 0)).unwrap().send_to(b"x", (PUBLIC, 9999)).is_ok();
        let arrived = || listener.recv(&mut [0; 8]).is_ok();
        assert!(inside(&posing.netns, send(posing.address)).await && arrived(), "as itself");
        assert!(inside(&posing.netns, send(victim)).await && !arrived(), "as another");
    });
}

#[test]
fn egress_allow_opens_what_it_names() {
    on_a_host(async || {
        let _outside = outside().await;
        let network = Network::set_up(&config(&["10.88.0.0/16:80", "10.88.0.0/16:80", "10.99.0.0/16"])).await.unwrap();
        let one = dyno(&network).await;
        assert!(one.gets(PRIVATE).await);
        assert!(!one.gets(METADATA).await);
        drop(network);
        let network = Network::set_up(&config(&["10.88.0.0/16:81"])).await.unwrap();
        network.adopt(one.address);
        network.sweep().await.unwrap();
        assert!(!one.gets(PRIVATE).await, "another port is another matter");
        assert!(one.gets(PUBLIC).await, "an adopted dyno goes on");
    });
}

#[test]
fn ipv6_is_off_inside() {
    on_a_host(async || {
        let network = Network::set_up(&config(&[])).await.unwrap();
        let one = dyno(&network).await;
        let addresses =
            inside(&one.netns, || std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default()).await;
        assert_eq!(addresses, "");
    });
}

#[test]
fn links_of_the_dead_are_swept_and_addresses_come_back_last() {
    on_a_host(async || {
        let network = Network::set_up(&config(&[])).await.unwrap();
        let (one, two) = (dyno(&network).await, dyno(&network).await);
        drop(network);
        let network = Network::set_up(&config(&[])).await.unwrap();
        network.adopt(one.address);
        network.sweep().await.unwrap();
        let links = Command::new("ip").args(["-o", "link"]).output().unwrap();
        let links = String::from_utf8(links.stdout).unwrap();
        assert_eq!(links.lines().filter(|line| line.contains(": test-")).count(), 1, "{links}");
        assert!(network.attach(two.netns.as_fd(), two.address, Kind::Dyno).await.is_err(), "it is not reserved");
        network.detach(one.address).await;
        assert_ne!(network.reserve().unwrap(), one.address);
    });
}

#[test]
fn what_is_taken_away_comes_back() {
    on_a_host(async || {
        let _outside = outside().await;
        let network = Network::set_up(&config(&[])).await.unwrap();
        let (one, two) = (dyno(&network).await, dyno(&network).await);
        serve(&one.netns).await;
        serve(&two.netns).await;
        nft(&["flush", "ruleset"]);
        ip(&["route", "del", &format!("{}/32", one.address)]);
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        let address = one.address;
        until(Duration::from_secs(5), async || {
            tokio::task::spawn_blocking(move || fetch(address, 80)).await.unwrap().is_ok()
        })
        .await;
        until(Duration::from_secs(5), async || one.gets(PUBLIC).await).await;
        assert!(!one.gets(two.address).await);
        nft(&["flush", "chain", "inet", "slipway-test", "from_dyno"]);
        until(Duration::from_secs(5), async || {
            nft(&["list", "chain", "inet", "slipway-test", "from_dyno"]).contains("@private")
        })
        .await;
    });
}

fn question(name: &str) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message
}

fn addresses(answer: &[u8]) -> Vec<Ipv4Addr> {
    let answer = Message::from_vec(answer).unwrap();
    answer
        .answers
        .iter()
        .filter_map(|record| if let RData::A(A(address)) = record.data { Some(address) } else { None })
        .collect()
}

fn ask_udp(resolver: Ipv4Addr, name: &str) -> Vec<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    socket.send_to(&question(name).to_vec().unwrap(), (resolver, 53)).unwrap();
    let mut buffer = [0; 4096];
    let count = socket.recv(&mut buffer).unwrap();
    addresses(&buffer[..count])
}

fn ask_tcp(resolver: Ipv4Addr, name: &str) -> Vec<Ipv4Addr> {
    let mut stream = TcpStream::connect((resolver, 53)).unwrap();
    let bytes = question(name).to_vec().unwrap();
    stream.write_all(&u16::try_from(bytes.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    addresses(&answer)
}

/// The resolver that this machine's resolv.conf names, in this host: it knows every name.
fn be_the_resolver() {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    let address = text.lines().find_map(|line| line.strip_prefix("nameserver ")).unwrap().trim();
    let place: IpAddr = address.parse().unwrap();
    if !place.is_loopback() {
        ip(&["addr", "add", address, "dev", "lo"]);
    }
    let socket = UdpSocket::bind((place, 53)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((count, client)) = socket.recv_from(&mut buffer) {
            let asked = Message::from_vec(&buffer[..count]).unwrap();
            let name = asked.queries[0].name().clone();
            let mut answer = asked.into_response();
            for address in [METADATA, Ipv4Addr::LOCALHOST, PUBLIC] {
                answer.add_answer(Record::from_rdata(name.clone(), 60, RData::A(A(address))));
            }
            socket.send_to(&answer.to_vec().unwrap(), client).unwrap();
        }
    });
}

#[test]
fn names_resolve_inside_but_never_to_the_host() {
    on_a_host(async || {
        be_the_resolver();
        let network = Network::set_up(&config(&[])).await.unwrap();
        let one = dyno(&network).await;
        let resolver = network.resolver();
        assert_eq!(inside(&one.netns, move || ask_udp(resolver, "example.com.")).await, [PUBLIC]);
        assert_eq!(inside(&one.netns, move || ask_tcp(resolver, "example.com.")).await, [PUBLIC]);
    });
}

#[test]
fn the_forwarder_is_started_again_without_rights() {
    on_a_host(async || {
        be_the_resolver();
        let network = Network::set_up(&config(&[])).await.unwrap();
        let resolver = network.resolver();
        let one = dyno(&network).await;
        assert_eq!(inside(&one.netns, move || ask_udp(resolver, "a.example.")).await, [PUBLIC]);
        let forwarder = forwarder_here().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{forwarder}/status")).unwrap();
        assert!(
            status.contains("Uid:\t64998\t64998\t64998\t64998") && status.contains("CapEff:\t0000000000000000"),
            "{status}"
        );
        let pid = rustix::process::Pid::from_raw(forwarder).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        until(Duration::from_secs(5), async || forwarder_here().is_some_and(|now| now != forwarder)).await;
        assert_eq!(inside(&one.netns, move || ask_udp(resolver, "b.example.")).await, [PUBLIC]);
    });
}

/// The forwarder in this thread's namespace.
fn forwarder_here() -> Option<i32> {
    let here = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok());
    let mut found = pids.filter(|pid| {
        std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|netns| netns == here)
            && std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("engine-child"))
    });
    found.next()
}

#[test]
fn two_installs_stand_side_by_side() {
    on_a_host(async || {
        let one = Network::set_up(&config(&[])).await.unwrap();
        let mut other = config(&[]);
        other.install = "test2".to_owned();
        other.range = (Ipv4Addr::new(198, 19, 0, 0), 16);
        let other = Network::set_up(&other).await.unwrap();
        assert_ne!(one.resolver(), other.resolver());
        let (mine, theirs) = (dyno(&one).await, dyno(&other).await);
        serve(&theirs.netns).await;
        assert!(!mine.gets(theirs.address).await);
    });
}

/// A host whose firewall drops what it forwards: dynos reach the world all the same, soon after `reload` again, and
/// when they go, `left` says that nothing of ours is left.
fn passes_a_firewall(drop: fn(), reload: fn(), left: fn() -> String) {
    on_a_host(async || {
        let _outside = outside().await;
        drop();
        let network = Network::set_up(&config(&[])).await.unwrap();
        let one = dyno(&network).await;
        assert!(one.gets(PUBLIC).await, "through a chain that drops");
        assert!(!one.gets(PRIVATE).await, "no further than before");
        let told = foreign::obstacles(Path::new("/usr/sbin/nft"), "test").await.unwrap();
        assert!(told.len() == 1 && told[0].open, "{told:?}");
        reload();
        assert!(!one.gets(PUBLIC).await, "the reload took the rules away");
        until(Duration::from_secs(10), async || one.gets(PUBLIC).await).await;
        std::mem::drop(network);
        foreign::close(Path::new("/usr/sbin/nft"), "test").await.unwrap();
        let rules = left();
        assert!(!rules.contains("test-"), "{rules}");
    });
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn dynos_pass_the_firewall_of_iptables() {
    passes_a_firewall(
        || drop(run("iptables-nft", &["-P", "FORWARD", "DROP"])),
        || drop(run("iptables-nft", &["-F", "FORWARD"])),
        || run("iptables-nft", &["-S"]),
    );
}

#[test]
fn dynos_pass_the_firewall_of_iptables_legacy() {
    passes_a_firewall(
        || drop(run("iptables-legacy", &["-P", "FORWARD", "DROP"])),
        || drop(run("iptables-legacy", &["-F", "FORWARD"])),
        || run("iptables-legacy", &["-S"]),
    );
}

/// docker empties and fills FORWARD when it restarts, and never what its users put into `DOCKER-USER`.
#[test]
fn dynos_pass_the_firewall_of_docker_and_its_restart() {
    let docker = || {
        run("iptables-nft", &["-F", "FORWARD"]);
        run("iptables-nft", &["-P", "FORWARD", "DROP"]);
        run("iptables-nft", &["-A", "FORWARD", "-j", "DOCKER-USER"]);
    };
    on_a_host(async || {
        let _outside = outside().await;
        run("iptables-nft", &["-N", "DOCKER-USER"]);
        docker();
        let network = Network::set_up(&config(&[])).await.unwrap();
        let one = dyno(&network).await;
        assert!(one.gets(PUBLIC).await, "through docker's chain");
        let rules = run("iptables-nft", &["-S", "DOCKER-USER"]);
        assert!(rules.contains("-i test-+"), "{rules}");
        for _ in 0..3 {
            docker();
            assert!(one.gets(PUBLIC).await, "docker's restart took nothing away");
        }
    });
}

/// firewalld accepts by policy and refuses by its last rule; its table is nft's own.
#[test]
fn dynos_pass_the_firewall_of_nft() {
    fn load() {
        nft(&["add", "table", "inet", "firewalld"]);
        nft(&["flush", "table", "inet", "firewalld"]);
        nft(&["add chain inet firewalld forward { type filter hook forward priority 10; policy accept; }"]);
        nft(&["add rule inet firewalld forward ct state established accept"]);
        nft(&["add rule inet firewalld forward reject with icmpx admin-prohibited"]);
    }
    passes_a_firewall(load, load, || nft(&["list", "table", "inet", "firewalld"]));
}

#[test]
fn one_dyno_opens_no_more_connections_than_its_share() {
    on_a_host(async || {
        let _outside = outside().await;
        let network = Network::set_up(&config(&[])).await.unwrap();
        let (one, two) = (dyno(&network).await, dyno(&network).await);
        inside(&one.netns, || {
            // Each datagram to another port is a connection to the firewall.
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            for port in 10_000..40_000 {
                socket.send_to(b"x", (PUBLIC, port)).ok();
            }
        })
        .await;
        let table = std::fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack").unwrap();
        let entries = table.lines().nth(1).and_then(|line| line.split_whitespace().next()).unwrap();
        let entries = u32::from_str_radix(entries, 16).unwrap();
        assert!(entries < 9_000, "{entries} of 30,000");
        assert!(two.gets(PUBLIC).await, "others are not hindered");
    });
}

/// The owner of a firewall lets packets through again, then dynos go: nothing of ours stays in it.
#[test]
fn a_firewall_that_drops_no_more_keeps_nothing_of_ours() {
    on_a_host(async || {
        let programs = ["iptables-nft", "iptables-legacy"];
        let table = ["list", "table", "inet", "firewalld"];
        let policy = |word: &str| {
            for program in programs {
                run(program, &["-P", "FORWARD", word]);
            }
            let chain = format!("type filter hook forward priority 10; policy {};", word.to_lowercase());
            nft(&[&format!("add chain inet firewalld forward {{ {chain} }}")]);
        };
        let all = || programs.map(|program| run(program, &["-S"])).concat() + &nft(&table);
        nft(&["add", "table", "inet", "firewalld"]);
        policy("DROP");
        let network = Network::set_up(&config(&[])).await.unwrap();
        assert_eq!(all().matches("-i test-+").count(), 2, "{}", all());
        assert!(all().contains("\"test-*\""), "{}", all());
        drop(network);
        policy("ACCEPT");
        foreign::close(Path::new("/usr/sbin/nft"), "test").await.unwrap();
        assert!(!all().contains("test-"), "{}", all());
    });
}

/// The engine is gone, dynos run on, and a firewall is loaded again: one who asks mends it.
#[test]
fn one_pass_mends_the_network_of_dynos_without_an_engine() {
    on_a_host(async || {
        let _outside = outside().await;
        run("iptables-nft", &["-P", "FORWARD", "DROP"]);
        let config = config(&[]);
        assert_eq!(repair(&config).await.unwrap(), [""; 0], "no dyno, nothing to mend");
        let network = Network::set_up(&config).await.unwrap();
        let one = dyno(&network).await;
        drop(network);
        assert_eq!(repair(&config).await.unwrap(), [""; 0], "all is well");
        run("iptables-nft", &["-F", "FORWARD"]);
        nft(&["delete", "table", "inet", "slipway-test"]);
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        ip(&["route", "del", &one.address.to_string()]);
        assert!(!one.gets(PUBLIC).await);
        let mended = repair(&config).await.unwrap();
        let words = ["ip_forward", "table inet slipway-test", "table ip filter, chain FORWARD"];
        assert!(mended.len() == 3 && mended.iter().zip(words).all(|(told, word)| told.contains(word)), "{mended:?}");
        until(Duration::from_secs(5), async || one.gets(PUBLIC).await).await;
        assert!(!one.gets(PRIVATE).await);
        assert_eq!(repair(&config).await.unwrap(), [""; 0]);
    });
}
