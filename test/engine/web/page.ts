// Builds what a test runs in a browser, serves it as a page without a bundler would have it, and opens that page.
import { execFile } from "node:child_process";
import { createReadStream, existsSync, statSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize, resolve } from "node:path";
import { promisify } from "node:util";
import { chromium, type Browser, type Page } from "playwright-core";

const root = resolve(import.meta.dirname, "../../..");

/** Where a browser may lie; the first that exists is taken. */
const executablePath = [
  process.env.CHROMIUM_PATH,
  "/usr/bin/chromium",
  "/usr/bin/google-chrome",
  "/usr/bin/chromium-browser",
].find((path) => path !== undefined && existsSync(path));

export const hasBrowser = executablePath !== undefined;

/** Where a page finds what our modules import by name: the browser's conditions of each package, spelled out. */
const imports = {
  "#session": "/build/src/engine/session.web.js",
  "onnxruntime-web": "/node_modules/onnxruntime-web/dist/ort.bundle.min.mjs",
  "@bufbuild/protobuf": "/node_modules/@bufbuild/protobuf/dist/esm/index.js",
  "@bufbuild/protobuf/codegenv2": "/node_modules/@bufbuild/protobuf/dist/esm/codegenv2/index.js",
  "@bufbuild/protobuf/wire": "/node_modules/@bufbuild/protobuf/dist/esm/wire/index.js",
  yaml: "/node_modules/yaml/browser/index.js",
  zod: "/node_modules/zod/index.js",
};

const html = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module">import { scenarios } from "/build/test/engine/web/scenarios.js"; window.scenarios = scenarios;</script>`;

const types: Record<string, string> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
};

function serve(folder: string, isolated: boolean): Promise<Server> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://page").pathname);
    const headers = {
      ...(isolated && { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" }),
    };
    const file = join(folder, path);
    if (path === "/") {
      response.writeHead(200, { ...headers, "Content-Type": "text/html" }).end(html);
    } else if (existsSync(file) && statSync(file).isFile()) {
      response.writeHead(200, { ...headers, "Content-Type": types[extname(file)] ?? "application/octet-stream" });
      createReadStream(file).pipe(response);
    } else {
      response.writeHead(404, headers).end();
    }
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

export interface OpenPage {
  /** Calls a scenario in the page. */
  run(name: string, ...values: unknown[]): Promise<unknown>;
  close(): Promise<void>;
}

export interface Site {
  open(options?: { isolated?: boolean; flags?: readonly string[] }): Promise<OpenPage>;
  close(): Promise<void>;
}

/** Compiles the scenarios, and with them the modules they use, as plain files for a browser. */
export async function buildSite(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-page-"));
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      module: "ESNext",
      moduleResolution: "Bundler",
      rootDir: root,
      outDir: join(folder, "build"),
      declaration: false,
      typeRoots: [join(root, "node_modules/@types")],
      paths: { "#session": [join(root, "src/engine/session.web.ts")] },
    },
    include: [],
    files: [join(root, "test/engine/web/scenarios.ts"), join(root, "src/engine/session.web.ts")],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  // Type errors are another check's business; the files are written all the same.
  await promisify(execFile)(process.execPath, [
    join(root, "node_modules/typescript/bin/tsc"),
    "-p",
    join(folder, "tsconfig.json"),
    "--noCheck",
  ]);
  const closing: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  return {
    async open({ isolated = true, flags = ["--disable-gpu"] } = {}) {
      const server = await serve(folder, isolated);
      const { port } = server.address() as { port: number };
      const browser = await launch(flags);
      const page = await browser.newPage();
      const problems: string[] = [];
      page.on("pageerror", (error) => problems.push(String(error)));
      page.on("response", (answer) => {
        if (answer.status() >= 400 && !answer.url().endsWith("favicon.ico"))
          problems.push(`${answer.status()} ${answer.url()}`);
      });
      await page.goto(`http://127.0.0.1:${port}/`);
      await ready(page, problems);
      let open = true;
      const close = async (): Promise<void> => {
        if (!open) return;
        open = false;
        await browser.close();
        server.closeAllConnections();
        await new Promise((done) => server.close(done));
      };
      closing.unshift(close);
      return {
        run: (name, ...values) =>
          page.evaluate(
            ([scenario, given]) =>
              (globalThis as unknown as { scenarios: Record<string, (...given: unknown[]) => unknown> }).scenarios[
                scenario
              ]!(...given),
            [name, values] as const,
          ),
        close,
      };
    },
    async close() {
      for (const step of closing) await step();
    },
  };
}

function launch(flags: readonly string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: executablePath!,
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...flags,
    ],
  });
}

async function ready(page: Page, problems: readonly string[]): Promise<void> {
  try {
    await page.waitForFunction("window.scenarios !== undefined", undefined, { timeout: 50_000 });
  } catch (error) {
    throw new Error(`the page did not start: ${problems.join("; ")}`, { cause: error });
  }
}
