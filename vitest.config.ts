import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`src/${path}`, import.meta.url));

/** Kinds of tests beside the plain ones, by the end of the file's name. */
const kinds = ["engine", "web", "learn"];

export default defineConfig({
  resolve: {
    alias: [
      { find: "#session", replacement: source("engine/session.node.ts") },
      { find: "#base", replacement: source("base/index.ts") },
      // lab/ imports the package by its name, as a stranger's program would.
      ...readdirSync(source("")).map((room) => ({
        find: `heddle/${room}`,
        replacement: existsSync(source(`${room}/index.node.ts`))
          ? source(`${room}/index.node.ts`)
          : source(`${room}/index.ts`),
      })),
    ],
  },
  test: {
    // ONNX Runtime aborts the process when a thread ends while a session runs, so tests live in processes.
    pool: "forks",
    // Each session brings threads of its own; more workers than this only wait for one another.
    maxWorkers: 2,
    setupFiles: ["test/quiet-console.ts", "test/property-seed.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: kinds.map((kind) => `test/**/*.${kind}.test.ts`),
        },
      },
      ...kinds.map((kind) => ({
        extends: true as const,
        test: { name: kind, include: [`test/**/*.${kind}.test.ts`] },
      })),
    ],
  },
});
