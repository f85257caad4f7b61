// Cutting time into chunks must not show, wherever the cuts fall and wherever padding lies.
import fc from "fast-check";
import { expect, test } from "vitest";
import { hostTensor } from "../../../src/base/index.ts";
import { joinChunks, splitChunks } from "../../../src/nn/mixers/chunks.ts";
import { LinearAttention, Retention, SelectiveStateSpace, type AttentionScope } from "../../../src/nn/index.ts";
import { dim, input, type Tensor } from "../../../src/tensor/index.ts";
import { compile } from "../../../src/engine/index.ts";
import { expectClose } from "../../close.ts";
import { draw, noisyFeeds, numbersOf, overSequences, stepwise } from "./running.ts";

const dModel = 8;

test("chunks side by side are the sequence, and what fills the last one is zero", async () => {
  const time = dim("time");
  const x = input("x", "float32", [2, time, 3]);
  const split = splitChunks(x, 1, 4);
  const outputs = { split, joined: joinChunks(split, 1, time) };
  await using run = await compile({ name: "chunks", inputs: { x }, outputs }, { threads: 1 });
  for (const [length, chunks] of [
    [1, 1],
    [4, 1],
    [5, 2],
    [11, 3],
  ] as const) {
    const given = draw([2, length, 3], length);
    const { split: cut, joined } = await run.run({ x: given });
    expect(cut!.dims).toEqual([2, chunks, 4, 3]);
    expect(joined).toEqual(given);
    const row = numbersOf(cut!).subarray(0, chunks * 12);
    expect([...row.subarray(0, length * 3)]).toEqual([...numbersOf(given).subarray(0, length * 3)]);
    expect(row.subarray(length * 3).every((value) => value === 0)).toBe(true);
  }
});

const made = {
  "linear attention": (chunk: number) => new LinearAttention({ dModel, heads: 2, chunk }),
  retention: (chunk: number) => new Retention({ dModel, heads: 2, chunk }),
  "a state space": (chunk: number) => new SelectiveStateSpace({ dModel, state: 3, chunk }),
};

test.each(Object.entries(made))(
  "%s: any chunk, any length and any padding give what the definition gives",
  async (_, make) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 3 }),
        fc.nat(),
        async (chunk, drawn, seed) => {
          const time = Math.max(...drawn.map((row) => row.length));
          const rows = drawn.map((row) => [...row, ...new Array<boolean>(time - row.length).fill(false)]);
          const mixer = make(chunk);
          const forms = (x: Tensor, scope: AttentionScope) => ({
            chunked: mixer.chunked(x, scope),
            parallel: mixer.parallel(x, scope),
          });
          await using run = await overSequences(mixer, forms, { dtype: "float64", dModel, isPadded: true });
          const { chunked, parallel } = await run.run({
            ...noisyFeeds(mixer, "float64"),
            x: draw([rows.length, time, dModel], seed, "float64"),
            keys: hostTensor("bool", [rows.length, time], rows.flat().map(Number)),
          });
          expectClose(numbersOf(chunked!), numbersOf(parallel!), { within: 1e-10 });
        },
      ),
      { numRuns: 25 },
    );
  },
);

test.each(Object.entries(made))("%s still agrees with its steps after three hundred tokens", async (_, make) => {
  const mixer = make(7);
  const feeds = noisyFeeds(mixer, "float32");
  const x = draw([1, 300, dModel], 9);
  const forms = (given: Tensor, scope: AttentionScope) => ({ chunked: mixer.chunked(given, scope) });
  await using run = await overSequences(mixer, forms, { dModel });
  const { chunked } = await run.run({ ...feeds, x });
  expectClose(await stepwise(mixer, feeds, x), numbersOf(chunked!), { within: 1e-4 });
});
