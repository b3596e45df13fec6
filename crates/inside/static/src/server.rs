//! Accepts connections, gives each a thread, and ends without cutting an answer.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::connection;
use crate::etag::Tags;
use crate::reply::Reply;
use crate::site::Site;

/// Most connections at once; one more is answered 503 and closed. The router holds a small pool per worker, far below.
const CONNECTIONS: usize = 512;
/// A connection's thread holds one head and one buffer on its stack.
const STACK: usize = 128 << 10;
/// How long answers may still take after SIGTERM; the platform kills after 30 s.
const GRACE: Duration = Duration::from_secs(25);
/// After an accept that failed for want of descriptors or memory; trying at once would only spin.
const PAUSE: Duration = Duration::from_millis(100);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    in_flight: Arc<InFlight>,
    #[cfg_attr(not(test), expect(dead_code, reason = "tests listen on port 0 and ask for the address"))]
    pub(crate) address: SocketAddr,
}

/// Counts what is going on, so that the end can wait for it.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    stopping: AtomicBool,
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    connections: usize,
    answers: usize,
}

/// Counts one down when it ends, however it ends.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    of: &'a InFlight,
    pick: fn(&mut Counts) -> &mut usize,
}

impl Server {
    /// Accepts in the background.
    pub(crate) fn start(listener: TcpListener, site: Site) -> io::Result<Self> {
        let in_flight = Arc::new(InFlight::default());
        let server = Self { in_flight: Arc::clone(&in_flight), address: listener.local_addr()? };
        let shared = Arc::new((site, Tags::default()));
        thread::Builder::new().name("accept".to_owned()).spawn(move || accept(&listener, &shared, &in_flight))?;
        Ok(server)
    }

    /// Waits until no request is being answered; idle connections end with the process.
    pub(crate) fn finish(&self) {
        self.in_flight.stopping.store(true, Ordering::SeqCst);
        let counts = self.in_flight.lock();
        let busy = |counts: &mut Counts| counts.answers > 0;
        drop(self.in_flight.changed.wait_timeout_while(counts, GRACE, busy).unwrap_or_else(PoisonError::into_inner));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<(Site, Tags)>, in_flight: &Arc<InFlight>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        let (shared, in_flight) = (Arc::clone(shared), Arc::clone(in_flight));
        let spawned = thread::Builder::new().stack_size(STACK).spawn(move || talk(&stream, &shared, &in_flight));
        if spawned.is_err() {
            thread::sleep(PAUSE);
        }
    }
}

fn talk(stream: &TcpStream, shared: &(Site, Tags), in_flight: &InFlight) {
    let (connection, count) = in_flight.connect();
    if count > CONNECTIONS {
        let mut to = stream;
        Reply::text("503 Service Unavailable", "Too many connections.\n").write(&mut to, None, false).ok();
        return;
    }
    connection::serve(stream, &shared.0, &shared.1, in_flight).ok();
    drop(connection);
}

impl InFlight {
    /// An answer begins.
    pub(crate) fn begin(&self) -> Guard<'_> {
        self.lock().answers += 1;
        Guard { of: self, pick: |counts| &mut counts.answers }
    }

    fn connect(&self) -> (Guard<'_>, usize) {
        let mut counts = self.lock();
        counts.connections += 1;
        (Guard { of: self, pick: |counts| &mut counts.connections }, counts.connections)
    }

    /// Whether connections should end after their answer.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        *(self.pick)(&mut self.of.lock()) -= 1;
        self.of.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn server(json: &str, files: &[(&str, &str)]) -> (Server, tempfile::TempDir) {
        let app = tempfile::tempdir().unwrap();
        for (name, content) in files.iter().chain(&[("static.json", json)]) {
            let path = app.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        (serve(app.path()), app)
    }

    fn serve(app: &Path) -> Server {
        let site = Site::open(app, Config::read(app).unwrap()).unwrap();
        Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), site).unwrap()
    }

    /// Sends requests on one connection and reads until it is closed.
    fn talk_to(server: &Server, requests: &str) -> String {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(requests.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(server: &Server, path: &str) -> String {
        talk_to(server, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    }

    fn status(answer: &str) -> &str {
        answer.split(' ').nth(1).unwrap()
    }

    #[test]
    fn files_indexes_and_what_is_not_there() {
        let files = [
            ("public/index.html", "home"),
            ("public/a/index.html", "a"),
            ("public/x.css", "b{}"),
            ("public/empty", ""),
        ];
        let (server, _app) = server(r#"{"root": "public"}"#, &files);
        let home = get(&server, "/");
        assert!(home.starts_with("HTTP/1.1 200 OK\r\n") && home.ends_with("\r\n\r\nhome"), "{home}");
        assert!(get(&server, "/x.css?v=1").contains("Content-Type: text/css; charset=utf-8\r\n"));
        assert!(get(&server, "/empty").contains("Content-Length: 0\r\n"));
        assert!(get(&server, "/a?x").contains("Location: /a/?x\r\n"));
        assert!(get(&server, "//a").contains("Location: /a/\r\n"), "never another host");
        assert_eq!(status(&get(&server, "/a/")), "200");
        assert_eq!(status(&get(&server, "/none")), "404");
        let posted = talk_to(&server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
        assert_eq!(status(&posted), "405");
        assert_eq!(status(&talk_to(&server, "nonsense\r\n\r\n")), "400");
    }

    #[test]
    fn no_path_leads_outside() {
        let (server, app) = server(r#"{"root": "public"}"#, &[("public/a.txt", "a"), ("secret", "s")]);
        let public = app.path().join("public");
        std::os::unix::fs::symlink("../secret", public.join("up")).unwrap();
        std::os::unix::fs::symlink("/etc", public.join("etc")).unwrap();
        std::os::unix::fs::symlink("a.txt", public.join("near")).unwrap();
        for path in
            ["/../secret", "/%2e%2e/secret", "/up", "/etc/passwd", "/a.txt/../../secret", "/..%5csecret", "/.%00"]
        {
            assert_eq!(status(&get(&server, path)), "404", "{path}");
        }
        assert_eq!(status(&get(&server, "/near")), "200", "a link that stays inside is a file of the site");
    }

    #[test]
    fn clean_urls_routes_and_the_error_page() {
        let json =
            r#"{"root": "p", "clean_urls": true, "error_page": "oops.html", "routes": {"/app/**": "index.html"}}"#;
        let files = [("p/index.html", "home"), ("p/about.html", "about"), ("p/oops.html", "oops")];
        let (server, _app) = server(json, &files);
        assert!(get(&server, "/about").ends_with("\r\n\r\nabout"));
        assert!(get(&server, "/about.html?a").contains("Location: /about?a\r\n"));
        assert!(get(&server, "/index.html").contains("Location: /\r\n"));
        assert!(get(&server, "/app/deep/er").ends_with("\r\n\r\nhome"));
        let missing = get(&server, "/none");
        assert!(missing.starts_with("HTTP/1.1 404 ") && missing.ends_with("\r\n\r\noops"), "{missing}");
    }

    #[test]
    fn the_app_folder_hides_what_configures_it() {
        let files = [("index.html", "home"), ("Procfile", "web: x"), (".profile.d/a.sh", "x"), (".well-known/a", "w")];
        let (server, _app) = server("{}", &files);
        assert_eq!(status(&get(&server, "/")), "200");
        assert_eq!(status(&get(&server, "/.well-known/a")), "200");
        for path in ["/Procfile", "/static.json", "/.profile.d/a.sh"] {
            assert_eq!(status(&get(&server, path)), "404", "{path}");
        }
    }

    #[test]
    fn keep_alive_head_tags_and_ranges() {
        let (server, _app) = server(r#"{"root": "p"}"#, &[("p/a.txt", "0123456789")]);
        let first = get(&server, "/a.txt");
        let tag = first.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
        let requests = format!(
            "HEAD /a.txt HTTP/1.1\r\nHost: x\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: x\r\nIf-None-Match: W/{tag}\r\n\r\n\
             GET /a.txt HTTP/1.1\r\nHost: x\r\nRange: bytes=2-4\r\nConnection: close\r\n\r\n"
        );
        let answers = talk_to(&server, &requests);
        let statuses: Vec<&str> = answers.lines().filter(|line| line.starts_with("HTTP/1.1 ")).map(status).collect();
        assert_eq!(statuses, ["200", "304", "206"], "{answers}");
        assert!(answers.contains("Content-Length: 10\r\n") && answers.contains("Content-Range: bytes 2-4/10\r\n"));
        assert!(answers.ends_with("\r\n\r\n234"), "{answers}");
    }

    #[test]
    fn same_size_and_time_but_other_content_has_another_tag() {
        let (server, app) = server(r#"{"root": "p"}"#, &[("p/a", "aaaa"), ("p/b", "bbbb")]);
        let time = fs::metadata(app.path().join("p/a")).unwrap().modified().unwrap();
        fs::File::options().write(true).open(app.path().join("p/b")).unwrap().set_modified(time).unwrap();
        let tag = |path: &str| get(&server, path).lines().find(|line| line.starts_with("ETag")).unwrap().to_owned();
        assert_ne!(tag("/a"), tag("/b"));
    }

    #[test]
    fn the_end_waits_for_answers() {
        let (server, _app) = server(r#"{"root": "p"}"#, &[("p/a", "x")]);
        let in_flight = Arc::clone(&server.in_flight);
        let answering = in_flight.begin();
        let waiting = thread::spawn(move || server.finish());
        while !in_flight.is_stopping() {
            thread::yield_now();
        }
        assert!(!waiting.is_finished());
        drop(answering);
        waiting.join().unwrap();
    }
}
