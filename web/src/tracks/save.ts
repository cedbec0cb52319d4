/** Handing a file to the rider: exports need the token, so a plain link would not do. */

import { element } from "./dom.ts";

export function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // browsers take their time to begin
}
