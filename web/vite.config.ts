import { defineConfig } from "vite";

/** The node that `npm run dev` and `vite preview` speak to. */
const node = process.env["THROTTLECOVE_NODE"] ?? "http://127.0.0.1:8000";

const proxy = {
  "/socket.io": { target: node, ws: true },
  "/v1": node,
  "/config.json": node,
};

export default defineConfig({
  // Nothing inlined as data: URLs, so that the content security policy stays short.
  build: { target: "es2022", assetsInlineLimit: 0, sourcemap: false, chunkSizeWarningLimit: 1500 },
  server: { proxy },
  preview: { proxy },
});
