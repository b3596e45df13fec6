// Stands for a bundler: needs a development dependency, and leaves a file for the running app.
const fs = require("node:fs");
const colors = require("picocolors");

fs.writeFileSync("built.json", JSON.stringify({ node: process.version }));
console.log(colors.green("Built."));
