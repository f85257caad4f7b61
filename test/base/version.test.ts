import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { version } from "../../src/base/index.ts";

test("the version that files carry is the package's", () => {
  const { version: published } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  expect(version).toBe(published);
});
