// Reads lines of JSON, {parser, decode: [{text} or {binary: base64}, …]} or {parser, encode: packet}, and answers each
// with what that official parser of Socket.IO makes of it. What JSON has not is tagged: {"$bytes": base64}, {"$date": ms}.

import { createInterface } from "node:readline";
import * as json from "socket.io-parser";
import msgpack from "socket.io-msgpack-parser";

const parsers = { json, msgpack };

const tagged = (value) => {
  if (value === undefined) return { $undefined: true };
  if (Buffer.isBuffer(value)) return { $bytes: value.toString("base64") };
  if (Array.isArray(value)) return value.map(tagged);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, tagged(inner)]));
};

const untagged = (value) => {
  if (Array.isArray(value)) return value.map(untagged);
  if (value === null || typeof value !== "object") return value;
  if ("$undefined" in value) return undefined;
  if ("$nan" in value) return NaN;
  if ("$date" in value) return new Date(value.$date);
  if ("$bytes" in value) return Buffer.from(value.$bytes, "base64");
  if ("$buffer" in value) return new Uint8Array(Buffer.from(value.$buffer, "base64")).buffer;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, untagged(inner)]));
};

const decode = ({ Decoder }, messages) => {
  const decoder = new Decoder();
  let packet = null;
  decoder.on("decoded", (decoded) => (packet = decoded));
  for (const { text, binary } of messages) decoder.add(text ?? Buffer.from(binary, "base64"));
  return { packet: tagged(packet) };
};

const encode = ({ Encoder }, packet) => ({
  messages: new Encoder()
    .encode(untagged(packet))
    .map((part) => (typeof part === "string" ? { text: part } : { binary: Buffer.from(part).toString("base64") })),
});

const answer = (request) => {
  const parser = parsers[request.parser];
  try {
    return request.encode ? encode(parser, request.encode) : decode(parser, request.decode);
  } catch (error) {
    return { refused: error.message };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(answer(JSON.parse(line))));
}
