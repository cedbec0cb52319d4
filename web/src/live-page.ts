/**
 * The page of somebody who is signed in: joins the connection, the map, the riders and the panel, and lets go of all
 * of them when the session ends.
 */

import { signedIn, type Api, type ShownTrack } from "./api.ts";
import { Connection, type State, type TokenKeeper, type Tokens } from "./client/index.ts";
import type { Config } from "./config.ts";
import { chipWords, emptyWords, endWords } from "./live-words.ts";
import { counted, outlines } from "./map/hexagons.ts";
import type { LiveMap, View } from "./map/live-map.ts";
import { PALETTES, type Theme } from "./map/palette.ts";
import { SOURCES } from "./map/style.ts";
import { offerProbes } from "./probes.ts";
import { recall, remember } from "./remembered.ts";
import { locate, OwnRide, type OwnPosition } from "./ride.ts";
import { Fleet } from "./riders/fleet.ts";
import { Names } from "./riders/names.ts";
import { Seeker } from "./seek.ts";
import { keeper, logout } from "./session.ts";
import { Sharing } from "./sharing.ts";
import { Stage } from "./stage.ts";
import { chosen, confirmed } from "./tracks/confirm.ts";
import { mountTracks } from "./tracks/index.ts";
import { element } from "./tracks/dom.ts";
import { Controls } from "./ui/controls.ts";
import { FollowCard } from "./ui/follow-card.ts";
import { Notices } from "./ui/notices.ts";
import { Panel } from "./ui/panel.ts";
import { RidePane } from "./ui/ride-pane.ts";
import { RiderList, type ListView } from "./ui/rider-list.ts";
import { Status } from "./ui/status.ts";
import { prefersStillness, ThemeChoice } from "./ui/theme.ts";
import { Viewport, type Sight } from "./viewport.ts";
import { ZoneMap } from "./zones/zone-map.ts";
import { ZonesPane } from "./zones/zones-pane.ts";

const REFRESH_MS = 500;
/** A sheet that is being drawn moves the camera once, when it has stopped. */
const SETTLED_MS = 150;
const RIDE_KEPT = "Kept for later, it goes on when you sign in here again. Positions that the server does not have yet stay on this device.";
const NOTHING = { type: "FeatureCollection" as const, features: [] };

export class LivePage {
  /** Resolves when the session has ended, with what to tell the rider (null: they signed out). */
  readonly ended: Promise<string | null>;
  readonly root: HTMLElement;
  readonly #map: LiveMap;
  readonly #tokens: TokenKeeper;
  readonly #connection: Connection;
  readonly #fleet = new Fleet();
  readonly #names: Names;
  readonly #stage: Stage;
  readonly #viewport: Viewport;
  readonly #seeker: Seeker;
  readonly #ride: OwnRide;
  readonly #sharing: Sharing;
  readonly #notices = new Notices();
  readonly #status: Status;
  readonly #panel: Panel;
  readonly #list: RiderList;
  readonly #ridePane: RidePane;
  readonly #zones: ZonesPane;
  readonly #card: FollowCard;
  readonly #controls: Controls;
  readonly #chip = element("p", { class: "chip", role: "status" });
  readonly #api: Api;
  readonly #abort = new AbortController();
  readonly #sizes: ResizeObserver;
  #end: (message: string | null) => void = () => undefined;
  #refresh: ReturnType<typeof setInterval> | undefined;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #cellsShown = false;
  #signingOut = false;

  constructor(tokens: Tokens, map: LiveMap, theme: ThemeChoice, config: Config) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#map = map;
    this.#tokens = keeper(tokens, (message) => this.#leave(message));
    this.#connection = new Connection({ tokens: this.#tokens, app: `web/${config.version || "dev"}` });
    this.#fleet.still = prefersStillness();
    this.#names = new Names(this.#connection, this.#fleet);
    this.#stage = new Stage(map, this.#fleet);
    this.#viewport = new Viewport(this.#connection, map, (sight) => void this.#see(sight));
    this.#seeker = new Seeker(map, this.#fleet, () => this.#viewport.sight, () => !this.#fleet.still);
    this.#ride = new OwnRide(this.#connection, tokens.userId, (position) => this.#iAmAt(position));
    this.#api = { ...signedIn(this.#tokens), showTrack: (track) => void this.#showTrack(track), notify: (...said) => this.#notices.say(...said) };
    this.#status = new Status(this.#connection);
    this.#list = new RiderList((rider) => this.#pick(rider), () => this.#seeker.begin());
    this.#ridePane = new RidePane({
      start: () => void this.#ride.start().catch((error: Error) => this.#notices.say(error.message, "error")),
      stop: () => void this.#ride.stop(),
      giveUp: () => void this.#giveUpRide(),
      share: (audience) => void this.#sharing.choose(audience),
    });
    this.#sharing = new Sharing(this.#api, this.#connection, (audience) => this.#ridePane.showAudience(audience));
    const zoneMap = new ZoneMap(map, () => !this.#fleet.still, () => this.#freeCamera());
    this.#zones = new ZonesPane(this.#api, zoneMap, async () => (await locate()).place);
    this.#card = new FollowCard(() => this.#stage.follow(null));
    this.#controls = this.#makeControls(theme);
    this.#panel = this.#makePanel(tokens.username);
    this.root = element("div", { class: "live" }, this.#panel.root, this.#controls.root, this.#overMap());
    this.#sizes = new ResizeObserver(() => this.#makeRoom());
    this.#sizes.observe(this.#panel.root);
    this.#sizes.observe(map.gl.getContainer());
    this.#listen();
  }

  /** Connect, and look where riders are unless this browser remembers a view. */
  start(): void {
    const offered = offerProbes({
      connection: this.#connection,
      map: this.#map,
      stage: this.#stage,
      fleet: this.#fleet,
      viewport: this.#viewport,
      ride: this.#ride,
    });
    this.#abort.signal.addEventListener("abort", offered);
    this.#refresh = setInterval(() => this.#update(), REFRESH_MS);
    this.#connection.connect();
    void this.#ride.resume();
    if (recall<View>("view") === null) this.#seeker.begin();
  }

  /** Take the focus that the sign-in had. */
  focus(): void {
    this.#panel.focus();
  }

  /** Wear another theme. */
  wear(theme: Theme): void {
    this.#stage.palette = PALETTES[theme];
    this.#controls.showTheme(theme);
  }

  #makeControls(theme: ThemeChoice): Controls {
    const zoomBy = (levels: number): void => {
      this.#seeker.stop();
      this.#map.gl.easeTo({ zoom: this.#map.gl.getZoom() + levels, animate: !this.#fleet.still });
    };
    const controls = new Controls({
      zoomIn: () => zoomBy(1),
      zoomOut: () => zoomBy(-1),
      locate: () => void this.#locate(),
      fit: () => {
        this.#stage.follow(null);
        this.#seeker.begin();
      },
      cells: () => void this.#showCells(!this.#cellsShown),
      theme: () => theme.toggle(),
    });
    controls.showTheme(theme.theme);
    return controls;
  }

  #makePanel(username: string): Panel {
    const tracks = element("section", { id: "tracks-panel" });
    this.#abort.signal.addEventListener("abort", mountTracks(tracks, this.#api));
    const tabs = [
      { id: "riders", title: "Riders", content: this.#list.root },
      { id: "ride", title: "Record", content: element("div", {}, this.#ridePane.root, this.#zones.root) },
      { id: "tracks", title: "My rides", content: tracks },
    ];
    return new Panel(username, this.#status.root, tabs, () => void this.#signOut());
  }

  #overMap(): HTMLElement {
    return element("div", { class: "over-map" }, this.#status.bar, this.#card.root, this.#notices.root, this.#chip);
  }

  #listen(): void {
    const connection = this.#connection;
    connection.on("location:frame", (frame) => {
      this.#fleet.take(frame, Date.now());
    });
    connection.on("session:ready", (ready) => {
      if (this.#stage.me === null) this.#fleet.forget(ready.rider, Date.now()); // of a ride that may be over
      this.#stage.me = ready.rider;
      void connection.ask("riders:watch", { user_ids: [ready.user_id] }).catch(() => undefined);
      void this.#sharing.load();
      void this.#zones.load();
    });
    connection.on("state", (state) => this.#connectionIs(state));
    this.#stage.onFollow = () => this.#update();
    this.#map.gl.on("moveend", this.#rememberView);
    this.#map.onFault = (message) => this.#notices.say(message, "error");
    const { signal } = this.#abort;
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#stage.follow(null);
    }, { signal });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) connection.connect();
    }, { signal });
  }

  #connectionIs(state: State): void {
    if (state.kind === "ended" && state.reason) {
      this.#leave(endWords(state.reason));
      this.#tokens.end();
    }
    this.#update();
  }

  /** The server answers for another part of the world, or in another way. */
  async #see(sight: Sight): Promise<void> {
    const cells = new Set(sight.kind === "riders" ? sight.cells : []);
    this.#fleet.retain((topic) => topic.startsWith("rider:") || cells.has(topic.slice("cell:".length)), Date.now());
    this.#showChip();
    await this.#map.fill(SOURCES.density, sight.kind === "density" ? await counted(sight.cells ?? []) : NOTHING);
    await this.#drawCells();
  }

  #showChip(): void {
    const words = chipWords(this.#viewport.sight, this.#cellsShown, this.#finding);
    if (words !== this.#chip.textContent) this.#chip.textContent = words;
  }

  /** Whether riders are being looked for, as far as the connection allows. */
  get #finding(): boolean {
    return this.#seeker.seeking && this.#connection.state.kind !== "waiting";
  }

  async #showCells(shown: boolean): Promise<void> {
    this.#cellsShown = shown;
    this.#controls.showCells(shown);
    this.#showChip();
    await this.#drawCells();
  }

  async #drawCells(): Promise<void> {
    const { sight } = this.#viewport;
    const drawn = this.#cellsShown && sight.kind === "riders";
    await this.#map.fill(SOURCES.cells, drawn ? await outlines(sight.cells) : NOTHING);
  }

  async #showTrack(track: ShownTrack | null): Promise<void> {
    const parts = track?.parts ?? [];
    const geometry = { type: "MultiLineString" as const, coordinates: parts };
    await this.#map.fill(SOURCES.track, { type: "FeatureCollection", features: [{ type: "Feature", properties: {}, geometry }] });
    if (parts.length === 0) return;
    this.#freeCamera();
    this.#map.fit(parts.flat().map(([longitude, latitude]) => ({ latitude, longitude })), !this.#fleet.still);
  }

  /** Nobody but whoever asks for it moves the camera. */
  #freeCamera(): void {
    this.#seeker.stop();
    this.#stage.follow(null);
  }

  #pick(rider: number): void {
    this.#seeker.stop();
    const same = rider === this.#stage.followed;
    this.#stage.follow(same ? null : rider);
    if (!same) this.#panel.lower();
  }

  /** While recording, one's own dot follows this device and not the way over the server. */
  #iAmAt(position: OwnPosition | null): void {
    this.#stage.own = position;
    const { me } = this.#stage;
    if (me === null) return;
    const now = Date.now();
    if (!position) return this.#rideNoMore(me, now);
    const { place, heading, speed } = position;
    this.#fleet.takeLocal({ rider: me, ...place, heading, speed, heardAt: now }, now);
  }

  #rideNoMore(me: number, now: number): void {
    if (this.#stage.followed === me) this.#stage.follow(null);
    this.#fleet.forget(me, now);
  }

  async #locate(): Promise<void> {
    try {
      this.#stage.own = await locate();
      this.#freeCamera();
      this.#map.fly(this.#stage.own.place, Math.max(this.#map.gl.getZoom(), 14), !this.#fleet.still);
    } catch (error) {
      this.#notices.say((error as Error).message, "error");
    }
  }

  /** Twice a second: words, lists and names; positions are painted in every frame. */
  #update(): void {
    const now = Date.now();
    const followed = this.#stage.followed === null ? null : this.#fleet.get(this.#stage.followed);
    this.#list.show(this.#listView(now));
    this.#showChip();
    this.#card.show(followed, now);
    this.#ridePane.show(this.#ride.figures, now);
    void this.#names.refresh(now);
  }

  #listView(now: number): ListView {
    const connection = this.#connection.state.kind;
    const inSight = this.#stage.painter.points;
    const { me } = this.#stage;
    const riders = this.#fleet.present(now).filter((rider) => inSight.has(rider.number));
    const others = this.#viewport.sight.kind === "riders" || riders.some((rider) => rider.number !== me);
    return {
      riders: others ? riders : [], // from far away one would see oneself alone
      from: this.#stage.own?.place ?? this.#map.view,
      followed: this.#stage.followed,
      own: me,
      now,
      empty: emptyWords(this.#viewport.sight, connection, this.#finding),
    };
  }

  #makeRoom(): void {
    const map = this.#map.gl.getContainer().getBoundingClientRect();
    const panel = this.#panel.root.getBoundingClientRect();
    const beside = panel.width < map.width * 0.8;
    const left = beside ? Math.round(panel.right - map.left) : 0;
    const bottom = beside ? 0 : Math.round(map.bottom - panel.top);
    document.documentElement.style.setProperty("--covered-left", `${left}px`);
    document.documentElement.style.setProperty("--covered-bottom", `${bottom}px`);
    const controls = this.#controls.root.getBoundingClientRect();
    this.#stage.covered = { left, top: 0, bottom, controls };
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#map.cover({ left, bottom: Math.min(bottom, map.height * 0.6), top: 0, right: 0 }), SETTLED_MS);
  }

  readonly #rememberView = (): void => {
    if (!this.#seeker.seeking && this.#map.gl.getZoom() > 3) remember("view", this.#map.view);
  };

  async #giveUpRide(): Promise<void> {
    const lost = "What the server has of it stays in My rides. Positions that it did not take are deleted from this device.";
    if (await confirmed("Give this ride up?", lost, "Give up")) await this.#ride.giveUp();
  }

  /** A ride that is being recorded is not left without asking what becomes of it. */
  async #signOut(): Promise<void> {
    if (this.#ride.figures.recording) {
      const ways = { keep: "Keep it for later", stop: "Stop the ride" };
      const way = await chosen("Your ride is still being recorded", RIDE_KEPT, ways, "Cancel");
      if (way === null) return;
      if (way === "stop") await this.#ride.stop();
    }
    this.#signingOut = true;
    await logout(this.#tokens);
  }

  #leave(message: string | null): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    clearInterval(this.#refresh);
    clearTimeout(this.#settling);
    this.#sizes.disconnect();
    this.#connection.close();
    this.#ride.close();
    this.#viewport.close();
    this.#seeker.close();
    this.#zones.close();
    this.#panel.close();
    this.#stage.close();
    this.#status.close();
    this.#map.gl.off("moveend", this.#rememberView);
    this.#map.onFault = () => undefined;
    for (const source of [SOURCES.cells, SOURCES.density, SOURCES.track, SOURCES.zones]) void this.#map.fill(source, NOTHING);
    this.root.remove();
    this.#end(this.#signingOut ? null : message);
  }
}
