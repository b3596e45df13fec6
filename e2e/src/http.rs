//! A plain HTTP client that says exactly what it sends.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, de-chunked.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// One request on a connection of its own.
pub fn request(
    address: SocketAddr,
    method: &str,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(100)))?;
    let mut head = vec![format!("{method} {path} HTTP/1.1"), format!("Host: {host}"), "Connection: close".to_owned()];
    if !body.is_empty() {
        head.push(format!("Content-Length: {}", body.len()));
    }
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    stream.write_all(format!("{}\r\n\r\n", head.join("\r\n")).as_bytes())?;
    // A server that has heard enough answers and closes before all of the body is sent.
    let sent = stream.write_all(body);
    let answer = read_response(&mut BufReader::new(stream), method == "HEAD");
    answer.or_else(|error| sent.and(Err(error)))
}

/// The first line of a request or an answer, and its headers.
#[derive(Debug)]
pub(crate) struct Head {
    /// Without its end.
    pub(crate) first: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// A header by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> io::Result<u16> {
        let code = self.first.split(' ').nth(1).and_then(|code| code.parse().ok());
        code.ok_or_else(|| broken("no status line"))
    }
}

/// A connection that is kept for one request after another.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Connects, for requests to one host.
    pub fn open(address: SocketAddr, host: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(100)))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream), host: host.to_owned() })
    }

    /// Asks for a path.
    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.get_with(path, &[])
    }

    /// The same with more headers.
    pub fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{}\r\n", self.host, lines.concat());
        self.reader.get_mut().write_all(head.as_bytes())?;
        read_response(&mut self.reader, false)
    }
}

/// Reads one answer and leaves the connection at its end.
pub(crate) fn read_response(reader: &mut impl BufRead, no_body: bool) -> io::Result<Response> {
    let head = read_head(reader)?;
    let status = head.status()?;
    let body = if no_body { Vec::new() } else { read_answer_body(reader, &head)? };
    Ok(Response { status, headers: head.headers, body })
}

/// Reads up to the empty line.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Head> {
    let first = read_line(reader)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    Ok(Head { first, headers })
}

/// The body of an answer, which ends with the connection if nothing says its length.
pub(crate) fn read_answer_body(reader: &mut impl BufRead, head: &Head) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if matches!(head.status()?, 100..200 | 204 | 304) {
        return Ok(body);
    }
    match read_sized_body(reader, head)? {
        Some(sized) => body = sized,
        None => drop(reader.read_to_end(&mut body)?),
    }
    Ok(body)
}

/// The body whose length the head says; without one, a request has none.
pub(crate) fn read_sized_body(reader: &mut impl BufRead, head: &Head) -> io::Result<Option<Vec<u8>>> {
    if head.header("transfer-encoding").is_some() {
        return read_chunks(reader).map(Some);
    }
    let Some(length) = head.header("content-length") else { return Ok(None) };
    let mut body = vec![0; length.parse().map_err(|_| broken("no length"))?];
    reader.read_exact(&mut body)?;
    Ok(Some(body))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?;
        let size = usize::from_str_radix(&line, 16).map_err(|_| io::Error::other("no chunk size"))?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
