// The world outside the platform, for the tests: tarballs as files, git repositories by git's own http-backend, and
// receivers of webhooks: POST /hooks/NAME/FAILS answers 500 the first FAILS times and then 204, and a redirect with
// ?to=URL; whatever comes is kept in FOLDER/hooks-NAME, a line of JSON each.
// usage: node server.js FOLDER PORT
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");

const [folder, port] = [path.resolve(process.argv[2]), Number(process.argv[3])];

function git(request, response, url) {
  const env = {
    PATH: process.env.PATH,
    GIT_PROJECT_ROOT: folder,
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: url.pathname,
    QUERY_STRING: url.search.slice(1),
    REQUEST_METHOD: request.method,
    CONTENT_TYPE: request.headers["content-type"] ?? "",
    HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
    GIT_PROTOCOL: request.headers["git-protocol"] ?? "",
  };
  const child = spawn("git", ["http-backend"], { env, stdio: ["pipe", "pipe", "inherit"] });
  request.pipe(child.stdin).on("error", () => {});
  const pieces = [];
  child.stdout.on("data", (piece) => pieces.push(piece));
  child.on("close", () => {
    const whole = Buffer.concat(pieces);
    const end = whole.indexOf("\r\n\r\n");
    for (const line of whole.subarray(0, end).toString().split("\r\n")) {
      const [name, value] = line.split(": ");
      if (name === "Status") response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.end(whole.subarray(end + 4));
  });
}

function file(response, name) {
  fs.readFile(path.join(folder, path.basename(name)), (error, bytes) => {
    response.statusCode = error ? 404 : 200;
    response.end(error ? "nothing here\n" : bytes);
  });
}

const told = new Map();

function hook(request, response, url) {
  const [name, fails] = url.pathname.split("/").slice(2);
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const line = JSON.stringify({ headers: request.headers, body: Buffer.concat(pieces).toString() });
    fs.appendFileSync(path.join(folder, `hooks-${path.basename(name)}`), `${line}\n`);
    const times = (told.get(name) ?? 0) + 1;
    told.set(name, times);
    const to = url.searchParams.get("to");
    response.statusCode = to ? 307 : times <= Number(fails ?? 0) ? 500 : 204;
    if (to) response.setHeader("Location", to);
    response.end();
  });
}

http
  .createServer((request, response) => {
    const url = new URL(request.url, "http://outside");
    if (url.pathname.startsWith("/hooks/")) hook(request, response, url);
    else if (url.pathname.includes(".git/")) git(request, response, url);
    else file(response, url.pathname);
  })
  .listen(port, "0.0.0.0", () => console.log("ready"));
