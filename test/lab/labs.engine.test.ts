import { describe, expect, test } from "vitest";
import { silent } from "../../src/base/index.ts";
import { labs, svgFile, type Lab, type LabResult } from "../../lab/index.ts";

const quick = (lab: Lab, seed = 1): Promise<LabResult> =>
  lab.run({ seed, isQuick: true, listener: silent, signal: new AbortController().signal });

test("every lab has a name of its own and says what it tests, and where that comes from", () => {
  expect(new Set(labs.map(({ name }) => name)).size).toBe(labs.length);
  for (const { name, claim, source } of labs) {
    expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(claim.length).toBeGreaterThan(20);
    expect(claim).not.toMatch(/\.$/);
    expect(source).toMatch(/\d{4}/);
  }
});

describe.each(labs.map((lab) => [lab.name, lab] as const))("%s", (_, lab) => {
  test("runs, fills its tables and draws what it found", async () => {
    const { tables, plot, verdict } = await quick(lab);
    expect(tables.length).toBeGreaterThan(0);
    for (const { head, rows } of tables) {
      expect(rows.length).toBeGreaterThan(0);
      for (const row of rows) expect(row).toHaveLength(head.length);
    }
    expect(svgFile(plot, lab.claim)).not.toMatch(/NaN|Infinity|undefined/);
    expect(verdict.because.length).toBeGreaterThan(20);
  }, 120_000);

  test("ends when it is told to", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(lab.run({ seed: 1, isQuick: true, listener: silent, signal })).rejects.toThrow("enough");
  });
});
