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

/** The JSON of a successful answer. Throws Refused: `unavailable` when somebody else answered for the server. */
export async function read<T>(answer: Response): Promise<T> {
  if (!answer.ok) throw await refusal(answer);
  if (answer.status === 204) return undefined as T;
  try {
    return (await answer.json()) as T;
  } catch {
    throw notTheServer(answer);
  }
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
    return answer.status === 401 && isProblem(answer) ? send(path, init, await tokens.renew()) : answer;
  };
  return { fetch: withToken, json: async <T>(path: string, init?: RequestInit) => read<T>(await withToken(path, init)) };
}

/** What the server's REST refuses is a problem with a code; everything else comes from something on the way to it. */
async function refusal(answer: Response): Promise<Refused> {
  if (!isProblem(answer)) return notTheServer(answer);
  const problem = (await answer.json().catch(() => ({}))) as Partial<ErrorBody> & { detail?: string };
  if (!problem.code) return notTheServer(answer);
  return new Refused({ ...problem, code: problem.code, message: problem.detail ?? problem.code });
}

function isProblem(answer: Response): boolean {
  return answer.headers.get("content-type")?.startsWith("application/problem+json") ?? false;
}

/** A proxy's page, or the sign-in of a hotel's network: as good as no answer. */
function notTheServer(answer: Response): Refused {
  return unanswered(`Something on the way to the server answered instead of it (${answer.status}).`);
}
