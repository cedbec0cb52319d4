/** The requests behind privacy zones, typed. All of them throw `Refused` with a sentence that can be shown. */

import { posted, type Api } from "../api.ts";

/** The server's own bounds. */
export const SMALLEST_RADIUS_METRES = 100;
export const LARGEST_RADIUS_METRES = 5_000;
export const LONGEST_NAME = 60;

/** A zone before it is drawn: degrees and metres. */
export interface ZoneDraft {
  name: string;
  latitude: number;
  longitude: number;
  radius_metres: number;
}

export interface PrivacyZone extends ZoneDraft {
  id: string;
}

/** All zones of one's own, oldest first. */
export async function zonesOf(api: Api): Promise<PrivacyZone[]> {
  return (await api.json<{ zones: PrivacyZone[] }>("/v1/users/zones")).zones;
}

export function drawZone(api: Api, draft: ZoneDraft): Promise<PrivacyZone> {
  return api.json("/v1/users/zones", posted(draft));
}

export function removeZone(api: Api, id: string): Promise<void> {
  return api.json(`/v1/users/zones/${id}`, { method: "DELETE" });
}
