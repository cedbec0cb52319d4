/**
 * The live contract, version 1, as types: names, payloads and acks of the events this client uses.
 *
 * Mirrors docs/events.md. Units: metres, metres per second, degrees, milliseconds since the epoch (UTC).
 */

export type Audience = "public" | "followers" | "groups" | "ride" | "nobody";

/** West, south, east, north in degrees; west > east crosses 180°. */
export type Bounds = [west: number, south: number, east: number, north: number];

export interface Fix {
  seq: number;
  timestamp: number;
  latitude: number;
  longitude: number;
  altitude?: number | null;
  accuracy?: number | null;
  speed?: number | null;
  heading?: number | null;
  battery?: number | null;
}

export interface SessionReady {
  user_id: string;
  rider: number;
  server_time: number;
  expires_at: number;
  send_interval_ms: number;
  limits: { event_bytes: number; batch_fixes: number; rates: Record<string, { per_second: number; burst: number }> };
  streams: Record<string, { epoch: string; head: number }>;
}

/** rider, offsets of latitude and longitude (1e-5°), heading (2° steps), speed (dm/s), age (ticks); -1 is unknown. */
export type FrameRow = [rider: number, north: number, east: number, heading: number, speed: number, age: number];

export interface LocationFrame {
  topic: string;
  origin?: [latitude: number, longitude: number] | null;
  riders?: FrameRow[];
  gone?: number[];
  snapshot?: boolean;
}

/** How many public riders are in each H3 cell of the box; replaces the one before. */
export interface LocationDensity {
  resolution: number;
  cells: [cell: string, count: number][];
}

export interface RiderInfo {
  rider: number;
  user_id: string;
  name: string;
  avatar?: string | null;
  motorcycle?: string | null;
}

export interface ErrorBody {
  code: ErrorCode;
  message: string;
  field?: string | null;
  retry_after_ms?: number | null;
  trace_id?: string | null;
}

export interface ErrorEvent extends ErrorBody {
  event?: string | null;
  /** Set when the server is about to close the socket. */
  reconnect?: "at_once" | "later" | "never" | null;
}

export type ErrorCode =
  | "invalid"
  | "unauthenticated"
  | "token_expired"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "gone"
  | "too_large"
  | "rate_limited"
  | "unavailable"
  | "unsupported"
  | "internal"
  | (string & {});

export interface BatchAck {
  accepted: number;
  rejected: { seq: number | null; code: string; field: string; message: string }[];
}

export interface MapWatchAck {
  resolution: number;
  /** The cells whose topics `cell:<cell>` are heard from now on; empty when counts come instead. */
  cells: string[];
  /** Whether `location:density` comes instead of single riders. */
  density?: boolean;
}

/** Client to server: what each event carries, and what its ack brings. */
export interface Requests {
  "auth:refresh": { payload: { token: string }; ack: { expires_at: number } };
  "track:start": {
    payload: { track_id: string; started_at: number; motorcycle_id?: string; ride_id?: string };
    ack: { rider: number; send_interval_ms: number };
  };
  "location:update": { payload: { track_id: string; fix: Fix }; ack: unknown };
  "location:batch": { payload: { track_id: string; fixes: Fix[] }; ack: BatchAck };
  "track:stop": { payload: { track_id: string; last_seq: number; lost?: [number, number][] }; ack: unknown };
  "map:watch": { payload: { bounds: Bounds; zoom: number }; ack: MapWatchAck };
  "map:unwatch": { payload: Record<string, never>; ack: unknown };
  "riders:watch": { payload: { user_ids: string[] }; ack: unknown };
  "riders:unwatch": { payload: { user_ids: string[] }; ack: unknown };
  "riders:info": { payload: { riders: number[] }; ack: { riders: RiderInfo[] } };
  "sharing:set": {
    payload: { audience: Audience; expires_at?: number };
    ack: { audience: Audience; expires_at: number | null };
  };
}

/** Server to client. */
export interface Emissions {
  "session:ready": SessionReady;
  "auth:expiring": { expires_at: number };
  "location:frame": LocationFrame;
  "location:density": LocationDensity;
  "rate:set": { send_interval_ms: number; reason: string };
  error: ErrorEvent;
}

export type RequestName = keyof Requests;
export type EmissionName = keyof Emissions;
