/**
 * What REST says of tracks, as far as the page reads it (the whole of it is at /docs).
 *
 * Metres, seconds, metres per second, degrees; times in milliseconds since the epoch (UTC).
 */

/** `recording`: not ended. `finished`: figures are being computed. `computed`: everything is there. */
export type TrackState = "recording" | "finished" | "computed";

export interface Figures {
  distance_metres: number;
  duration_seconds: number;
  moving_seconds: number;
  ascent_metres: number;
  descent_metres: number;
  max_speed: number;
  average_speed: number;
}

export interface Track {
  id: string;
  state: TrackState;
  started_at: number;
  points: number;
  /** Null until the track is computed. */
  figures: Figures | null;
}

export interface TrackPage {
  items: Track[];
  next_cursor: string | null;
}

export interface Statistics {
  state: TrackState;
  figures: Figures | null;
  /** Where the rider stayed for three minutes or more. */
  stops: unknown[];
}

/** Columns of one length: metres from the start, metres, metres per second; what nobody measured is null. */
export interface Profile {
  distance: number[];
  altitude: (number | null)[];
  speed: (number | null)[];
  /** Positions of points that no line joins to the one before. */
  starts: number[];
}

/** A GeoJSON Feature; the line is in parts, broken at gaps. */
export interface Geometry {
  geometry: { coordinates: [longitude: number, latitude: number][][] };
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
