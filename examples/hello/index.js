// Answers every request with what this dyno is. Ends on SIGTERM once the answers in flight are sent.
const fs = require("node:fs");
const http = require("node:http");

const version = fs.readFileSync(`${__dirname}/VERSION`, "utf8").trim();
const boot = `${process.pid}-${Date.now()}`;
const { DYNO, GREETING, HEROKU_RELEASE_VERSION, NODE_ENV, PORT } = process.env;

const server = http.createServer((request, response) => {
  const answer = {
    message: GREETING || "Hello",
    version,
    dyno: DYNO,
    release: HEROKU_RELEASE_VERSION,
    node: process.version,
    env: NODE_ENV,
    method: request.method,
    url: request.url,
    headers: request.headers,
  };
  console.log(`${request.method} ${request.url}`);
  response.setHeader("x-boot", boot);
  response.setHeader("content-type", "application/json");
  response.end(`${JSON.stringify(answer, null, 2)}\n`);
});

server.listen(PORT || 5000, "0.0.0.0", () => console.log(`Listening on ${server.address().port}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
