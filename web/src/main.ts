/** Starts the page: configuration, theme, map, then one session after another. */

import "maplibre-gl/dist/maplibre-gl.css";
import "./styles/base.css";
import "./styles/panel.css";
import "./styles/map.css";

import { loadConfig, type Config } from "./config.ts";
import { LivePage } from "./live-page.ts";
import { hasWebGl2, LiveMap, type View } from "./map/live-map.ts";
import { PALETTES } from "./map/palette.ts";
import { recall, recallSession } from "./remembered.ts";
import { element } from "./tracks/dom.ts";
import { signIn } from "./ui/sign-in.ts";
import { ThemeChoice } from "./ui/theme.ts";

async function main(): Promise<void> {
  const app = document.querySelector<HTMLElement>("#app")!;
  const config = await loadConfig();
  let page: LivePage | null = null;
  let map: LiveMap | null = null;
  const theme = new ThemeChoice((worn) => {
    if (map) map.palette = PALETTES[worn];
    page?.wear(worn);
  });
  map = makeMap(config, theme);
  if (!map) {
    app.replaceChildren(noMap());
    return;
  }
  let message: string | null = null;
  let tokens = recallSession(); // only now: later on it may be another account's, of another tab
  for (;;) {
    const remembered = tokens !== null;
    tokens ??= await signIn(app, config, message);
    page = new LivePage(tokens, map, theme, config);
    app.replaceChildren(page.root);
    page.start();
    if (!remembered) page.focus();
    message = await page.ended;
    page = null;
    tokens = null;
  }
}

function makeMap(config: Config, theme: ThemeChoice): LiveMap | null {
  const container = document.querySelector<HTMLElement>("#map")!;
  if (!hasWebGl2()) return null;
  try {
    return new LiveMap(container, config, PALETTES[theme.theme], recall<View>("view"));
  } catch {
    return null; // a browser that says it has WebGL 2 and then cannot
  }
}

function noMap(): HTMLElement {
  return element(
    "section",
    { class: "sign-in" },
    element(
      "div",
      { class: "sign-in-card", role: "alert" },
      element("h1", {}, "This browser cannot draw the map"),
      element("p", { class: "hint" }, "The live map needs WebGL 2, which is missing or switched off here."),
      element("p", { class: "hint" }, "Update the browser, switch on hardware acceleration in its settings, or try another browser or device."),
    ),
  );
}

void main();
