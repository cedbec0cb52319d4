/** Numbers as people read them. */

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const POINTS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];

/** "850 m", "12.3 km", "140 km". */
export function distanceWords(metres: number): string {
  if (metres < 995) return `${whole.format(Math.round(metres / 10) * 10)} m`;
  if (metres < 99_500) return `${tenths.format(metres / 1000)} km`;
  return `${whole.format(metres / 1000)} km`;
}

/** "54 km/h", or a dash when unknown. */
export function speedWords(metresPerSecond: number | null): string {
  return metresPerSecond === null ? "–" : `${whole.format(metresPerSecond * 3.6)} km/h`;
}

/** "now", "12 s ago", "3 min ago". */
export function ageWords(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 3) return "now";
  return seconds < 60 ? `${seconds} s ago` : `${Math.floor(seconds / 60)} min ago`;
}

/** "0:07", "12:45", "1:02:45". */
export function durationWords(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** "NE". */
export function compassWords(heading: number): string {
  return POINTS[Math.round(heading / 45) % 8]!;
}
