/** Making elements in one expression. Text is always text: nothing here reads markup. */

type Child = Node | string | null;

/** An element with attributes (`false` and null are left out), listeners (`on…`) and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Record<string, string | boolean | null | ((event: never) => void)> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  set(made, attributes);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** The same in the SVG namespace. */
export function svg<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Record<string, string | number> = {},
  ...children: (SVGElement | string)[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

export function button(label: string, onClick: () => void, kind = "", attributes: Record<string, string> = {}): HTMLButtonElement {
  return element("button", { type: "button", class: `tracks-button ${kind}`.trim(), onclick: onClick, ...attributes }, label);
}

function set(made: HTMLElement, attributes: Record<string, string | boolean | null | ((event: never) => void)>): void {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value as EventListener);
    else if (value === true) made.setAttribute(key, "");
    else if (typeof value === "string") made.setAttribute(key, value);
  }
}
