/**
 * The last step of the build: puts Swagger UI beside its page in dist/docs, and a compressed neighbour beside every
 * file that shrinks. The server sends `x.js.gz` to whoever takes gzip, so nothing is compressed while somebody waits.
 */
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { constants, gzipSync } from "node:zlib";

const DIST = join(import.meta.dirname, "..", "dist");
const SWAGGER = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
const SWAGGER_FILES = ["swagger-ui-bundle.js", "swagger-ui.css"];
const COMPRESSED = new Set([".css", ".html", ".js", ".json", ".mjs", ".svg", ".wasm", ".webmanifest"]);
const NOT_WORTH_BYTES = 1024;

for (const name of SWAGGER_FILES) await copyFile(join(SWAGGER, name), join(DIST, "docs", name));

const entries = await readdir(DIST, { recursive: true, withFileTypes: true });
for (const entry of entries.filter((each) => each.isFile() && COMPRESSED.has(extname(each.name)))) {
  const path = join(entry.parentPath, entry.name);
  const bytes = await readFile(path);
  if (bytes.length >= NOT_WORTH_BYTES) await writeFile(`${path}.gz`, gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }));
}
