/** Figures as riders read them, in the browser's number format. */

const METRES_PER_KILOMETRE = 1000;
const KMH_PER_METRE_A_SECOND = 3.6;

const number = (digits: number): Intl.NumberFormat =>
  new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = number(0);
const tenths = number(1);

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Kilometres; metres below one. */
export function distance(metres: number): string {
  if (metres < METRES_PER_KILOMETRE) return `${whole.format(metres)} m`;
  const kilometres = metres / METRES_PER_KILOMETRE;
  return `${kilometres < 100 ? tenths.format(kilometres) : whole.format(kilometres)} km`;
}

/** A round distance, as axes have them: "20 km", "1.5 km", "500 m". */
export function roundDistance(metres: number): string {
  return metres < METRES_PER_KILOMETRE ? `${metres} m` : `${(metres / METRES_PER_KILOMETRE).toLocaleString()} km`;
}

export function height(metres: number): string {
  return `${whole.format(metres)} m`;
}

export function speed(metresPerSecond: number): string {
  return `${whole.format(metresPerSecond * KMH_PER_METRE_A_SECOND)} km/h`;
}

export function kilometresAnHour(metresPerSecond: number | null): number | null {
  return metresPerSecond === null ? null : metresPerSecond * KMH_PER_METRE_A_SECOND;
}

/** `1 h 05 min`, `12 min`, `40 s`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${whole.format(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** "17 May 2026, 09:30". */
export function day(milliseconds: number): string {
  return moment.format(milliseconds);
}

/** In the unit of the server's limits: "64 MiB", "64.1 MiB". */
export function mebibytes(count: number): string {
  return `${(Math.ceil((count / 2 ** 20) * 10) / 10).toLocaleString()} MiB`;
}

export function bytes(count: number): string {
  return count < 1e6 ? `${whole.format(Math.max(1, count / 1e3))} kB` : `${tenths.format(count / 1e6)} MB`;
}
