/**
 * What REST says of tracks, as far as the page reads it (the whole of it is at /docs).
 *
 * Metres, seconds, metres per second, degrees; times in milliseconds since the epoch (UTC).
 */

/** `recording`: not ended. `finished`: figures are being computed. `computed`: everything is there. */
export type TrackState = "recording" | "finished" | "computed";

export interface Stop {
  began_ms: number;
  ended_ms: number;
  latitude: number;
  longitude: number;
}

export interface TrackStatistics {
  distance_metres: number;
  duration_seconds: number;
  moving_seconds: number;
  stopped_seconds: number;
  ascent_metres: number;
  descent_metres: number;
  max_speed: number;
  average_speed: number;
  stops: Stop[];
  implausible: number;
}

export interface Track {
  id: string;
  state: TrackState;
  started_at: number | null;
  points: number;
  /** Null until the track is computed. */
  distance_metres: number | null;
  duration_seconds: number | null;
}

export interface TrackPage {
  tracks: Track[];
  next_cursor: string | null;
}

/** Columns of one length; a value that nobody measured is null. */
export interface Profile {
  distance_metres: number[];
  elevation_metres: (number | null)[];
  speed: (number | null)[];
}

/** The line in parts, broken where there are gaps. */
export interface Line {
  parts: [longitude: number, latitude: number][][];
}

/** What became of one track of a file: how many of its points are recorded, and which are not. */
export interface ImportedTrack {
  /** Null when nothing in it can be recorded. */
  track_id: string | null;
  name: string | null;
  points: number;
  fixes: number;
  without_time: number;
}

export interface Imported {
  tracks: ImportedTrack[];
}

export type ExportFormat = "gpx" | "geojson";
