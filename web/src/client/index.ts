/**
 * # The ThrottleCove client
 *
 * Everything an app needs to speak to ThrottleCove live, in a folder that can be lifted out: it depends on
 * `socket.io-client` and on nothing of the page (no DOM; timers, `performance` and `crypto` only).
 *
 * ```ts
 * const tokens = new TokenKeeper(signedIn, refresh, (kept) => remember(kept));
 * const connection = new Connection({ url: "https://live.example.org", tokens, app: "my-app/1.0" });
 * const riders = new FrameDecoder();
 * connection.on("location:frame", (frame) => show(riders.take(frame, Date.now())));
 * connection.on("session:ready", () => connection.ask("map:watch", { bounds: [10, 46, 11, 47], zoom: 11 }));
 * connection.connect();
 *
 * const recorder = new Recorder(connection, new MemoryStorage(), (event) => console.log(event.unsent, "unsent"));
 * await recorder.start();
 * recorder.add({ timestamp: Date.now(), latitude: 46.53, longitude: 10.45, speed: 14 });
 * await recorder.stop();
 * ```
 *
 * - `Connection` signs in, comes back by itself (or not, when the server says so), refreshes tokens, measures delay.
 *   `ask` ends with the ack or throws `Refused`; with `persist` it is sent again, ids unchanged, until it is answered.
 *   After every `session:ready` say again what you watch.
 * - `FrameDecoder` turns frames into positions; `retain` forgets topics that are watched no more.
 * - `Recorder` numbers fixes, keeps them through outages and reloads (`BufferStorage`), and sends them in order.
 * - `ServerClock` tells the server's time.
 */

export { Connection, type AskOptions, type State } from "./connection.ts";
export { FixBuffer, MemoryStorage, type BufferStorage, type StoredTrack } from "./buffer.ts";
export { FrameDecoder, TICK_MS, wrapLongitude, type Changes, type Sighting } from "./frames.ts";
export { Recorder, type RecorderEvent } from "./recorder.ts";
export { Refused, unanswered } from "./errors.ts";
export { ServerClock } from "./clock.ts";
export { TokenKeeper, type Refresher, type Tokens } from "./tokens.ts";
export { uuid7 } from "./ids.ts";
export type * from "./contract.ts";
