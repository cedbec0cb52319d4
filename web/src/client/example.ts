/** How an app uses the client: see who rides in the Stelvio area, and record a ride of one fix. Compiled, so it holds. */

import { Connection, FrameDecoder, MemoryStorage, Recorder, TokenKeeper, type Refresher, type Sighting, type Tokens, type TokensListener } from "./index.ts";

export interface App {
  /** The answer of `POST /v1/auth/login`. */
  signedIn: Tokens;
  /** Asks `POST /v1/auth/refresh`. */
  refresh: Refresher;
  /** Keeps the tokens for the next start; null: the session has ended. */
  remember: TokensListener;
  show(riders: readonly Sighting[], gone: readonly number[]): void;
  say(words: string): void;
}

/** Watch a box of the map, as long as the connection that is the answer is not closed. */
export function watch({ signedIn, refresh, remember, show, say }: App): Connection {
  const tokens = new TokenKeeper(signedIn, refresh, remember);
  const connection = new Connection({ url: "https://live.example.org", tokens, app: "my-app/1.0" });
  const riders = new FrameDecoder();
  connection.on("location:frame", (frame) => {
    const { seen, gone } = riders.take(frame, Date.now());
    show(seen, gone);
  });
  connection.on("session:ready", () => {
    connection.ask("map:watch", { bounds: [10, 46, 11, 47], zoom: 11 }).catch((refused: Error) => say(refused.message));
  });
  connection.connect();
  return connection;
}

/** Record a ride; what there is no connection for is sent when there is one. */
export async function record(connection: Connection, { say }: App): Promise<void> {
  const recorder = new Recorder(connection, new MemoryStorage(), ({ unsent, fault }) => say(fault ?? `${unsent} unsent`));
  await recorder.start();
  recorder.add({ timestamp: Date.now(), latitude: 46.53, longitude: 10.45, speed: 14 });
  await recorder.stop();
}
