/** A question before something that cannot be undone. */

import { button, element } from "./dom.ts";

/** Whether the rider said yes; Escape and the other button are no. `more` is what may be done before. Focus returns to where it was. */
export function confirmed(question: string, consequence: string, yes: string, ...more: HTMLElement[]): Promise<boolean> {
  return new Promise((answer) => {
    const dialog = element("dialog", { class: "tracks-dialog", "aria-labelledby": "tracks-question" });
    const no = button("Keep it", () => dialog.close());
    no.autofocus = true;
    dialog.append(
      element("h3", { id: "tracks-question" }, question),
      element("p", {}, consequence),
      ...more,
      element("div", { class: "tracks-actions" }, no, button(yes, () => dialog.close("yes"), "is-danger")),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
