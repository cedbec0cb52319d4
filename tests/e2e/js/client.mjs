// The official Socket.IO client, driven line by line: JSON commands on standard input, JSON reports on standard output.
//   {"do": "open",  "name": "anna", "url": "...", "parser": "json" or "msgpack", "options": {...},
//   "obeys": whether it goes by itself when session:drain says so}       reports connect, connect_error, disconnect
//   {"do": "emit",  "name": "anna", "event": "...", "payload": {...}, "id": 7}   reports {"ack": 7, "answer": {...}}
//   {"do": "send",  "name": "anna", "event": "...", "args": [...]}    as emit, but waits for no answer
//   {"do": "state", "name": "anna"}                                    reports {"active": whether it means to come back}
//   {"do": "transport", "name": "anna"}                                reports {"event": "transport", "args": [its name]}
//   {"do": "close", "name": "anna"}
// Every event that a socket hears is reported as {"name": "anna", "event": "...", "args": [...], "at": <ms>}.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import msgpack from "socket.io-msgpack-parser";

const parsers = { json: undefined, msgpack };
const sockets = new Map();
const report = (line) => process.stdout.write(JSON.stringify({ ...line, at: Date.now() }) + "\n");

function open({ name, url, parser, obeys, options }) {
  const socket = io(url, { forceNew: true, parser: parsers[parser ?? "json"], ...options });
  sockets.set(name, socket);
  socket.on("connect", () => report({ name, event: "connect", args: [socket.id, socket.io.engine.transport.name, socket.recovered ?? null] }));
  if (obeys) socket.on("session:drain", ({ reconnect_after_ms }) => setTimeout(() => socket.disconnect().connect(), reconnect_after_ms));
  socket.on("connect_error", (error) => report({ name, event: "connect_error", args: [error.message, error.data ?? null] }));
  socket.on("disconnect", (reason) => report({ name, event: "disconnect", args: [reason] }));
  socket.onAny((event, ...args) => report({ name, event, args }));
}

const commands = {
  open,
  emit: ({ name, event, payload, id }) =>
    sockets.get(name).emit(event, payload, (answer) => report({ name, ack: id, answer })),
  send: ({ name, event, args }) => sockets.get(name).emit(event, ...args),
  state: ({ name }) => report({ name, active: sockets.get(name).active }),
  transport: ({ name }) =>
    report({ name, event: "transport", args: [sockets.get(name).io.engine.transport.name] }),
  close: ({ name }) => sockets.get(name).disconnect(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[command.do](command);
}
process.exit(0);
