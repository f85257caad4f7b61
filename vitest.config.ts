import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Kinds of tests beside the plain ones, by the end of the file's name. */
const kinds = ["engine", "web", "learn"];

export default defineConfig({
  resolve: {
    alias: { "#session": fileURLToPath(new URL("src/engine/session.node.ts", import.meta.url)) },
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
