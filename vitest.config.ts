import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    alias: { "#session": fileURLToPath(new URL("src/engine/session.node.ts", import.meta.url)) },
  },
  test: {
    include: ["test/**/*.test.ts"],
    // ONNX Runtime aborts the process when a thread ends while a session runs, so tests live in processes.
    pool: "forks",
    testTimeout: 60_000,
  },
});
