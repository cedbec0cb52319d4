/** Short messages at the edge of the map, read out by screen readers. */

import { element } from "../tracks/dom.ts";
import { icon } from "./icons.ts";

const INFO_MS = 5000;
const ERROR_MS = 9000;

export class Notices {
  readonly root = element("div", { class: "notices", role: "log", "aria-live": "polite", "aria-label": "Messages" });

  say(message: string, kind: "info" | "error" = "info"): void {
    const close = element("button", { type: "button", class: "icon-button", "aria-label": "Dismiss" }, icon("close", 16));
    const notice = element("div", { class: `notice is-${kind}` }, element("p", {}, message), close);
    const end = (): void => notice.remove();
    close.addEventListener("click", end);
    setTimeout(end, kind === "error" ? ERROR_MS : INFO_MS);
    while (this.root.childElementCount >= 3) this.root.firstElementChild?.remove();
    this.root.append(notice);
  }
}
