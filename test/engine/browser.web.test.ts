// The engine in a real browser: the same programs, the same numbers, from plain files and an import map.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Hypothesis } from "../../src/decode/index.ts";
import { expectClose } from "../close.ts";
import { buildSite, hasBrowser, type OpenPage, type Site } from "./web/page.ts";
import { scenarios } from "./web/scenarios.ts";

describe.skipIf(!hasBrowser)(
  `in Chromium${hasBrowser ? "" : " [skipped: install chromium, or set CHROMIUM_PATH]"}`,
  () => {
    let site: Site;
    let page: OpenPage;

    beforeAll(async () => {
      site = await buildSite();
      page = await site.open();
    }, 180_000);
    afterAll(() => site.close());

    test("a program's values and gradients are Node's to 1e-5", async () => {
      const expected = await scenarios.gradients({ threads: 1 });
      expectClose((await page.run("gradients", {})) as number[], expected, { within: 1e-5 });
    });

    test("three training steps of a small Transformer have Node's losses to 1e-4", async () => {
      const expected = await scenarios.training({ threads: 1 });
      const losses = (await page.run("training", {})) as number[];
      expectClose(losses, expected, { within: 1e-4 });
      expect(losses[2]).toBeLessThan(losses[0]!);
    });

    test("searches and seeded draws write Node's tokens, sentences that join a batch too", async () => {
      const expected = await scenarios.decoding({ threads: 1 });
      const found = (await page.run("decoding", {})) as Hypothesis[];
      expect(found.map(({ tokens }) => tokens)).toEqual(expected.map(({ tokens }) => tokens));
      expectClose(
        found.map(({ logProbability }) => logProbability),
        expected.map(({ logProbability }) => logProbability),
        { within: 1e-4 },
      );
      // A draw is a sentence's own, whenever it came, and not what greedy search finds.
      const tokens = expected.map((hypothesis) => hypothesis.tokens.join());
      expect(tokens.slice(-3)).toEqual(tokens.slice(-6, -3));
      expect(tokens.slice(-3)).not.toEqual(tokens.slice(0, 3));
    });

    test("an isolated page may use all cores", async () => {
      const { threads, version } = (await page.run("environment")) as { threads: number; version: string };
      expect(threads).toBeGreaterThan(1);
      expect(version).toMatch(/^1\./);
    });

    test.each([
      [{ threads: 3 }, /ConfigError: threads: the page's runtime was started with \d+ and cannot change \(got 3\)/],
      [{ wasmFolder: "/elsewhere/" }, /ConfigError: wasmFolder: the page's runtime was started from its default place/],
      [{ provider: "cuda" }, /ConfigError: provider: "cuda" is for Node/],
      [{ provider: "webgpu" }, /ConfigError: provider: "webgpu" cannot be used here/],
      [{ spinning: false }, /ConfigError: spinning/],
      [{ profilePrefix: "x" }, /ConfigError: profilePrefix/],
    ])("what a page cannot do is said: %j", async (options, message) => {
      expect(await page.run("refusal", options)).toMatch(message);
    });

    test("a page that is not isolated runs with one thread, says so when asked for two, and may name the folder of the .wasm files", async () => {
      const plain = await site.open({ isolated: false });
      expect(await plain.run("environment")).toMatchObject({ threads: 1 });
      expect(await plain.run("refusal", { threads: 2 })).toMatch(
        /2 threads need a cross-origin isolated page.*or ask for 1/,
      );
      const expected = await scenarios.gradients({ threads: 1 });
      expectClose(
        (await plain.run("gradients", { wasmFolder: "/node_modules/onnxruntime-web/dist/" })) as number[],
        expected,
        { within: 1e-5 },
      );
      await plain.close();
    });
  },
);
