/** A question before something that cannot be undone. */

import { button, element } from "./dom.ts";

/** Whether the rider said yes; Escape and the other button are no. `more` is what may be done before. */
export async function confirmed(question: string, consequence: string, yes: string, ...more: HTMLElement[]): Promise<boolean> {
  return (await chosen(question, consequence, { yes }, "Keep it", ...more)) === "yes";
}

/**
 * Which of several ways the rider chose, by the words on their buttons, the most drastic one last; null for none of
 * them, as Escape is. Focus returns to where it was.
 */
export function chosen<Way extends string>(
  question: string,
  consequence: string,
  ways: Record<Way, string>,
  none: string,
  ...more: HTMLElement[]
): Promise<Way | null> {
  return new Promise((answer) => {
    const dialog = element("dialog", { class: "tracks-dialog", "aria-labelledby": "tracks-question" });
    const no = button(none, () => dialog.close());
    no.autofocus = true;
    const names = Object.keys(ways) as Way[];
    const choices = names.map((way) => button(ways[way], () => dialog.close(way), way === names.at(-1) ? "is-danger" : ""));
    dialog.append(
      element("h3", { id: "tracks-question" }, question),
      element("p", {}, consequence),
      ...more,
      element("div", { class: "tracks-actions" }, no, ...choices),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(names.find((way) => way === dialog.returnValue) ?? null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
