// A profile is the runtime's own measurement, told by operation: the figures must add up, whatever they are.
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { hostTensor } from "../../src/base/index.ts";
import { profile } from "../../src/engine/index.node.ts";
import { formatProfile } from "../../src/engine/index.ts";
import * as t from "../../src/tensor/index.ts";

const x = t.input("x", "float32", [t.dim("rows"), 64]);
const weight = t.input("weight", "float32", [64, 64]);
const hidden = t.exp(t.matmul(x, weight)); // tanh or relu would be fused into the product
const program: t.Program = {
  name: "two layers",
  inputs: { x, weight },
  outputs: { y: t.softmax(t.matmul(hidden, weight)) },
};
const feeds = {
  x: hostTensor("float32", [32, 64], new Float32Array(32 * 64).fill(0.1)),
  weight: hostTensor("float32", [64, 64], new Float32Array(64 * 64).fill(0.01)),
};

test("rows add up to the operations' time, shares to one, shapes to their row, and no file is left", async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith("heddle-profile-")).length;
  const { table, trace } = await profile(program, feeds, { runs: 3, threads: 1 });
  expect(readdirSync(tmpdir()).filter((name) => name.startsWith("heddle-profile-")).length).toBeLessThanOrEqual(before);

  const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  expect(table.runs).toBe(3);
  expect(total(table.rows.map(({ ms }) => ms))).toBeCloseTo(table.operationsMs, 9);
  expect(total(table.rows.map(({ share }) => share))).toBeCloseTo(1, 9);
  expect(table.operationsMs).toBeLessThanOrEqual(table.runMs);
  for (const { ms, count, shapes } of table.rows) {
    expect(total(shapes.map((shape) => shape.ms))).toBeCloseTo(ms, 9);
    expect(total(shapes.map((shape) => shape.count))).toBeCloseTo(count, 9);
  }
  const products = table.rows.find(({ op }) => op === "Gemm" || op === "MatMul")!;
  expect(products.count).toBe(2);
  expect(products.shapes.map(({ shape }) => shape)).toEqual(["[32, 64] [64, 64]"]);
  expect(table.rows.map(({ op }) => op)).toEqual(expect.arrayContaining(["Exp", "Softmax"]));

  // Chrome's format: complete events with a start and a length in microseconds, and one that names the process.
  expect(trace.traceEvents[0]).toMatchObject({ ph: "M", name: "process_name", args: { name: "two layers" } });
  const events = trace.traceEvents.slice(1);
  expect(events.filter(({ name }) => name === "two layers")).toHaveLength(3);
  expect(events.every(({ ph, ts, dur }) => ph === "X" && typeof ts === "number" && typeof dur === "number")).toBe(true);
  expect(events.find(({ name }) => name === "Exp [32, 64]")).toMatchObject({
    args: { node: expect.stringMatching(/^Exp_\d+$/) as unknown, inputs: "[32, 64]" },
  });

  const text = formatProfile(table);
  expect(text).toMatch(/^operation +count +ms +share\n/);
  expect(text).toMatch(/mean of 3\)\n$/);
});

test("no runs are no profile", async () => {
  await expect(profile(program, feeds, { runs: 0 })).rejects.toThrow(/at least 1/);
});
