/**
 * # The ThrottleCove client
 *
 * Everything an app needs to speak to ThrottleCove live, in a folder that can be lifted out: it depends on
 * `socket.io-client` and on nothing of the page (no DOM; timers, `performance` and `crypto` only).
 *
 * `example.ts`, next to this file, is all of it in one function.
 *
 * - `Connection` signs in, comes back by itself (or not, when the server says so), refreshes tokens, measures delay.
 *   `ask` ends with the ack or throws `Refused`; one that is `passing` may be sent again, ids unchanged.
 *   After every `session:ready` say again what you watch.
 * - `FrameDecoder` turns frames into positions; `retain` forgets topics that are watched no more.
 * - `Recorder` numbers fixes, keeps them through outages and reloads (`BufferStorage`; its `lock` lets one page record
 *   at a time), and sends them in order; what the server refuses for long can be given up.
 * - `ServerClock` tells the server's time.
 */

export { Connection, type State } from "./connection.ts";
export { FixBuffer, MemoryStorage, type BufferStorage, type StoredTrack } from "./buffer.ts";
export { FrameDecoder, TICK_MS, wrapLongitude, type Changes, type Sighting } from "./frames.ts";
export { Recorder, type RecorderEvent } from "./recorder.ts";
export { Refused, unanswered } from "./errors.ts";
export { ServerClock } from "./clock.ts";
export { TokenKeeper, type Refresher, type Tokens, type TokensListener } from "./tokens.ts";
export { uuid7 } from "./ids.ts";
export type * from "./contract.ts";
