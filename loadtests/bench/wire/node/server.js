// Node's socket.io with @socket.io/redis-adapter: handlers that do no more than the figures ask for.
//
//   node --expose-gc server.js PORT REDIS_URL EVENT_JSON [sharded]      with the adapter over sharded pub/sub
"use strict";

const http = require("node:http");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

async function main() {
  const [port, redisUrl, eventJson, kind] = process.argv.slice(2);
  const payload = JSON.parse(eventJson);
  const publisher = createClient({ url: redisUrl });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const server = http.createServer((request, response) => {
    // Memory is read without the garbage of the moment, which is the kinder way for a collected heap.
    if (request.url === "/gc") global.gc();
    response.end("ok");
  });
  const io = new Server(server, {
    adapter: (kind === "sharded" ? createShardedAdapter : createAdapter)(publisher, subscriber),
    transports: ["websocket"],
  });
  io.on("connection", (socket) => {
    socket.on("join", (_payload, done) => {
      socket.join("r");
      done();
    });
    socket.on("go", () => io.to("r").emit("event", payload));
    socket.on("bench:event", (_payload, done) => done({}));
    // The live map: watchers join the room of a cell, and each position goes to the room of its rider's cell.
    socket.on("map:watch", ({ cell }, done) => {
      socket.join(cell);
      done({});
    });
    socket.on("location:update", ({ cell, rider, fix }, done) => {
      io.to(cell).emit("location", { rider, fix });
      done({});
    });
  });
  server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
