const express = require("express");
const built = require("./built.json");

const app = express();
const boot = `${process.pid}-${Date.now()}`;
app.use((request, response, next) => {
  response.set("x-boot", boot);
  next();
});
app.get("/", (request, response) => response.json({ message: "Hello from Express", dyno: process.env.DYNO, built }));
app.get("/slow", (request, response) => setTimeout(() => response.send("slow\n"), Number(request.query.ms) || 1000));

const server = app.listen(process.env.PORT || 5000, "0.0.0.0", () => console.log(`Listening on ${server.address().port}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
