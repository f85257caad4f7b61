// Lines that join a batch as they come: the same translations, in order, none waiting for lines that come later.
import { afterAll, describe, expect, test } from "vitest";
import { randomKey, RandomStream } from "../../src/base/index.ts";
import { SearchAborted } from "../../src/decode/index.ts";
import { Transformer } from "../../src/models/index.ts";
import { Translation, type DecodingOptions, type Translated } from "../../src/tasks/index.ts";
import { CharacterTokenizer } from "../../src/text/index.ts";
import { expectClose } from "../close.ts";
import { noisyWeights, session } from "../models/small-transformer.ts";

const random = new RandomStream(randomKey(8));
const lines = Array.from({ length: 26 }, (_, i) =>
  i % 9 === 4
    ? ""
    : Array.from(
        { length: 1 + Math.floor(14 * random.uniform()) },
        () => "abc "[Math.floor(4 * random.uniform())],
      ).join(""),
);
const tokenizer = CharacterTokenizer.train(["abc cba"]);
const translationOf = (options: object = {}): Translation => {
  const model = new Transformer({
    vocabularySize: tokenizer.vocabularySize,
    dModel: 16,
    heads: 2,
    layers: 2,
    dFeedForward: 24,
    maxPositions: 40,
    ...options,
  });
  return new Translation({ model, tokenizer, weights: noisyWeights(model, 1), decoding: { maxLength: 12 }, session });
};
const translation = translationOf();
afterAll(() => translation.dispose());

function expectSame(got: readonly Translated[][], expected: readonly Translated[][]): void {
  expect(got.map((list) => list.map(({ text, tokens }) => [text, tokens]))).toEqual(
    expected.map((list) => list.map(({ text, tokens }) => [text, tokens])),
  );
  const scores = (all: readonly Translated[][]): number[] =>
    all.flatMap((list) => list.flatMap(({ score, logProbability }) => [score, logProbability]));
  expectClose(scores(got), scores(expected), { within: 1e-5, what: "scores" });
}

describe("lines that join as they come", () => {
  const cases: readonly (readonly [string, DecodingOptions])[] = [
    ["greedy search", { beams: 1 }],
    ["beam search, two outputs", { beams: 5, nbest: 2 }],
    ["lengths by the source, a stop string", { beams: 3, minLengthRatio: 0.4, maxLengthRatio: 1.5, stop: ["bb"] }],
    ["sampling", { search: "sample", temperature: 0.8, seed: 6 }],
    ["sampling with dropout", { search: "sample", temperature: 0.8, keepDropout: true, seed: 6 }],
    ["a beam that must cover the source, with dropout", { beams: 3, nbest: 2, coveragePenalty: 1, keepDropout: true }],
    ["a beam whose continuations are drawn", { search: "beam-sample", beams: 3, topK: 5, seed: 6 }],
  ];
  test.each(cases)("have the translations of sorted batches, in order, by %s", async (_, options) => {
    const sorted = await translation.generate(lines, options);
    // Of the longest line: one place, four, and more than there are lines.
    for (const batchTokens of [1, 64, 4096]) {
      const joining = { ...options, batching: "joining", batchTokens } as const;
      expectSame(await translation.generate(lines, joining), sorted);
    }
  });

  test("begin with what they wish for, each its own", async () => {
    const wishes = lines.map((text, i) => ({ text, prefix: "abc".slice(0, i % 4) }));
    const sorted = await translation.generate(wishes);
    expectSame(await translation.generate(wishes, { batching: "joining", batchTokens: 64 }), sorted);
    await expect(translation.generate([{ text: "ab", phrases: ["b"] }], { batching: "joining" })).rejects.toThrow(
      /batching: .*phrases/,
    );
  });

  test("draw by their number in the whole text", async () => {
    const options = { search: "sample", seed: 3 } as const;
    const whole = await translation.generate(lines, options);
    const rest: Translated[][] = [];
    for await (const list of translation.generateEach(
      lines.slice(7),
      { ...options, batching: "joining" },
      { firstLine: 7 },
    ))
      rest.push(list);
    expectSame(rest, whole.slice(7));
  });

  test("are given while later ones have yet to come, and empty ones too", async () => {
    let asked = 0;
    const answered: number[] = [];
    // A line comes only when the one before has been answered, as people type.
    let release: () => void = () => undefined;
    async function* typed(): AsyncGenerator<string> {
      for (const line of lines.slice(0, 8)) {
        asked++;
        yield line;
        if (answered.length < asked) await new Promise<void>((resolve) => (release = resolve));
      }
    }
    const sorted = await translation.generate(lines.slice(0, 8));
    const got: Translated[][] = [];
    for await (const list of translation.generateEach(typed(), { batching: "joining" })) {
      got.push(list);
      answered.push(asked);
      release();
    }
    expectSame(got, sorted);
    expect(answered).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("are read no further than the loop that asks for them goes, and an error among them comes in its turn", async () => {
    let isClosed = false;
    async function* broken(): AsyncGenerator<string> {
      try {
        yield* lines.slice(0, 3);
        throw new RangeError("the fourth line is broken");
      } finally {
        isClosed = true;
      }
    }
    const got: Translated[][] = [];
    const run = async (): Promise<void> => {
      for await (const list of translation.generateEach(broken(), { batching: "joining" })) got.push(list);
    };
    await expect(run()).rejects.toThrow("the fourth line is broken");
    expect(got).toHaveLength(3);
    expect(isClosed).toBe(true);
    let read = 0;
    function* endless(): Generator<string> {
      for (;;) {
        read++;
        yield "abc";
      }
    }
    let seen = 0;
    for await (const _ of translation.generateEach(endless(), { batching: "joining", beams: 1, batchTokens: 64 }))
      if (++seen === 20) break;
    expect(read).toBeLessThan(4096);
  });

  test("stop when the signal is raised", async () => {
    const controller = new AbortController();
    const got: Translated[][] = [];
    const run = async (): Promise<void> => {
      const options = { batching: "joining", batchTokens: 32, signal: controller.signal } as const;
      for await (const list of translation.generateEach(lines, options)) {
        got.push(list);
        if (got.length === 3) controller.abort();
      }
    };
    await expect(run()).rejects.toThrow(SearchAborted);
    expect(got.length).toBeLessThan(lines.length);
  });

  test.each<[string, DecodingOptions]>([
    ["groups", { groups: 5, beams: 5 }],
    ["phrases", { phrases: ["a"] }],
    ["search stochastic-beam", { search: "stochastic-beam" }],
    ["mbr", { mbr: "chrf" }],
    ["several draws a line", { search: "sample", nbest: 3 }],
  ])("are refused with %s", async (what, options) => {
    await expect(translation.generate(lines, { ...options, batching: "joining" })).rejects.toThrow(
      new RegExp(`batching: cannot be joining with ${what}`),
    );
  });

  test("are refused by ensembles, and by models that must know where a text began", async () => {
    await using bound = translationOf({ positions: { encoder: "rotary", decoder: "xpos" } });
    await expect(bound.generate(lines, { batching: "joining" })).rejects.toThrow(
      /positions must know where a text began/,
    );
    await using one = translationOf();
    one.ensembleWith(translationOf());
    await expect(one.generate(lines, { batching: "joining" })).rejects.toThrow(/batching: .*ensemble/);
  });
});
