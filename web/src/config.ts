/** What the server tells the page before it starts. */

import { read, request } from "./api.ts";

export interface Config {
  version: string;
  map_style_url: string | null;
  tile_url: string | null;
  tile_attribution: string | null;
  demo_login: { identifier: string; password: string } | null;
}

const WITHOUT_SERVER: Config = {
  version: "",
  map_style_url: null,
  tile_url: null,
  tile_attribution: null,
  demo_login: null,
};

/** The configuration; the plain one when the server does not answer (signing in will say so). */
export async function loadConfig(): Promise<Config> {
  try {
    return { ...WITHOUT_SERVER, ...(await read<Partial<Config>>(await request("/config.json"))) };
  } catch {
    return WITHOUT_SERVER;
  }
}
