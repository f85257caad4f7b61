// heddle inspect --source: one step of one layer, printed and as JSON.
import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call, tinyRun, type TinyRun } from "./tiny-run.ts";

let tiny: TinyRun;
beforeAll(async () => {
  tiny = await tinyRun((weights) => {
    for (const { data } of weights.values()) for (let i = 0; i < data.length; i++) data[i]! += 0.3 * Math.sin(i);
  });
});
afterAll(() => rm(tiny.folder, { recursive: true }));

const inspect = (...flags: string[]) =>
  call("inspect", "--model", tiny.folder, "--checkpoint", tiny.checkpoint, ...flags);

describe("heddle inspect", () => {
  test("shows what was fed on both sides, where q, k and v come from, and each head's weights", async () => {
    const { code, out } = await inspect("--source", "red blue", "--target", "one two", "--step", "1");
    expect(code).toBe(0);
    expect(out).toMatch(/step 1, layer 0 of 1 +teacher-forced +free-running/);
    expect(out).toMatch(/fed at this step +▁one +\S+/);
    expect(out).toMatch(/source of q +decoder\.layers\.0\.selfAttentionResidual\.norm +\[8\] +teacher-forced/);
    expect(out).toMatch(/source of k, v +encoder output +\[3, 8\] +free-running/);
    expect(out).toMatch(/% +▁red +▁blue +<\/s>/);
    expect(out.match(/^head 1 .*◄/gm)).toHaveLength(2);
    const { out: one } = await inspect("--source", "red blue", "--head", "0");
    expect(one).not.toMatch(/head 1|mean|teacher-forced/);
  });

  test("with --json gives every number", async () => {
    const { out } = await inspect("--source", "red blue", "--target", "one two", "--step", "1", "--json");
    const { step, layer, teacherForced, freeRunning } = JSON.parse(out);
    expect({ step, layer }).toEqual({ step: 1, layer: 0 });
    for (const { weights, query, memory } of [teacherForced, freeRunning]) {
      expect(weights).toMatchObject({ shape: [2, 3] });
      expect(weights.values.slice(0, 3).reduce((a: number, b: number) => a + b, 0)).toBeCloseTo(1, 5);
      expect([query.values.length, memory.values.length]).toEqual([8, 24]);
    }
  });

  test.each([
    [["--step", "1"], /--step: needs --source/],
    [["--source", "red", "--head", "2"], /--head: must be below 2 \(got 2\)/],
    [["--source", "red", "--layer", "1"], /layer: must be below 1 \(got 1\)/],
  ])("refuses %j", async (flags, message) => {
    expect((await inspect(...flags)).error).toMatch(message);
  });

  test("without --source says what the model is made of", async () => {
    expect((await inspect()).out).toMatch(/parameters:/);
  });
});
