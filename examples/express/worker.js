// A process type without a port: says that it is alive, and says goodbye.
console.log(`Worker ${process.env.DYNO} started`);
const timer = setInterval(() => console.log("Working"), 10_000);
process.on("SIGTERM", () => {
  clearInterval(timer);
  console.log("Worker stopped");
});
