/** REST of the server, for whoever is signed in: tokens are added and refreshed, refusals become `Refused`. */

import { Refused, unanswered, type ErrorBody, type TokenKeeper } from "./client/index.ts";

/** A line that other parts of the page may put on the map, and the camera with it; null takes it off again. */
export interface ShownTrack {
  id: string;
  title: string;
  /** Longitude and latitude in degrees; several parts where the track has gaps. */
  parts: [longitude: number, latitude: number][][];
}

/** What the parts of the page that read and change one's own things need. */
export interface Api {
  /** The raw answer, whatever its status. Throws Refused (`unavailable`) when there is none. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** The JSON of an answer that is a success. Throws Refused with the server's code and sentence. */
  json<T>(path: string, init?: RequestInit): Promise<T>;
  /** Draw a track on the map and show all of it. */
  showTrack(track: ShownTrack | null): void;
  /** Say something to the rider, shown for a moment and read out. */
  notify(message: string, kind?: "info" | "error"): void;
}

/** A request without a token. Throws Refused (`unavailable`) when no answer came. */
export async function request(path: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch {
    throw unanswered("The server cannot be reached. Is there a network?");
  }
}

/** A JSON body, posted. */
export function posted(body: unknown): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

/** The JSON of a successful answer. Throws Refused. */
export async function read<T>(answer: Response): Promise<T> {
  if (!answer.ok) throw await refusal(answer);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** Requests with the token of the session, tried once more with a new one when it has ended. */
export function signedIn(tokens: TokenKeeper): Pick<Api, "fetch" | "json"> {
  const send = async (path: string, init: RequestInit | undefined, token: string): Promise<Response> => {
    const headers = new Headers(init?.headers);
    headers.set("authorization", `Bearer ${token}`);
    return request(path, { ...init, headers });
  };
  const withToken = async (path: string, init?: RequestInit): Promise<Response> => {
    const answer = await send(path, init, await tokens.access());
    return answer.status === 401 ? send(path, init, await tokens.renew()) : answer;
  };
  return { fetch: withToken, json: async <T>(path: string, init?: RequestInit) => read<T>(await withToken(path, init)) };
}

async function refusal(answer: Response): Promise<Refused> {
  try {
    const problem = (await answer.json()) as Partial<ErrorBody> & { detail?: string };
    if (problem.code) return new Refused({ ...problem, code: problem.code, message: problem.detail ?? problem.code });
  } catch {
    // not from this server's REST: a proxy's page, say
  }
  const code = answer.status >= 500 ? "unavailable" : "unsupported";
  return new Refused({ code, message: `The server answered ${answer.status}.` });
}
