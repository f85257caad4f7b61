// Filling canvases against tables of what a model would say, worked by hand.
import { describe, expect, test } from "vitest";
import {
  collapsed,
  likelyLengths,
  maskPredict,
  SearchAborted,
  upToEnd,
  withoutRepeats,
  writeBlocks,
  type CandidateLength,
  type CanvasFiller,
  type Canvases,
  type Filled,
} from "../../src/decode/index.ts";

const [pad, start, end] = [0, 1, 2];
const symbols = { pad, start, end };

describe("likelyLengths", () => {
  // Differences −2 … 2.
  const scores = [-3, -1, -0.5, -2, -4];
  const cases: [name: string, options: Partial<Parameters<typeof likelyLengths>[1]>, expected: number[]][] = [
    ["the likeliest comes first", { count: 3 }, [6, 5, 7]],
    ["no more than there are", { count: 9 }, [6, 5, 7, 4, 8]],
    ["a factor asks for more", { count: 2, factor: 1.5 }, [9, 8]],
    ["what a factor makes equal is one length", { count: 2, factor: 0.5 }, [3, 4]],
    ["none is above the greatest", { count: 3, maxTokens: 6 }, [6, 5, 4]],
    ["none is below one", { count: 5, sourceTokens: 1 }, [1, 2, 3]],
  ];
  test.each(cases)("%s", (_, options, expected) => {
    const found = likelyLengths(scores, { sourceTokens: 6, count: 1, maxTokens: 100, ...options });
    expect(found.map(({ tokens }) => tokens)).toEqual(expected);
    expect(found[0]!.logProbability).toBe(-0.5);
  });
});

test.each([
  [[5, 6, end, 7], { tokens: [5, 6], logProbability: -6, score: -2, finished: true }],
  [[end, 6, 5, 7], { tokens: [], logProbability: -1, score: -1, finished: true }],
  [[5, 6, 7, 8], { tokens: [5, 6, 7, 8], logProbability: -10, score: -2.5, finished: false }],
])("%j is cut at its first END, which counts", (tokens, expected) => {
  expect(upToEnd(Int32Array.from(tokens), Float32Array.of(-1, -2, -3, -4), end)).toMatchObject(expected);
});

test.each([
  [[5, 5, 6, 6, 6, 5, end], [5, 6, 5], [-1, -3, -6, -7], true],
  [[5, 5, 5, 5], [5], [-1], false],
  [[end, end, end], [], [-1], true],
])("of %j runs become one, with the chance of the surest; END's own stays", (written, tokens, values, finished) => {
  const whole = upToEnd(
    Int32Array.from(written),
    Float32Array.from(written, (_, i) => -i - 1),
    end,
  );
  const { score, logProbability } = whole;
  expect(withoutRepeats(whole)).toEqual({ tokens, tokenLogProbabilities: values, finished, score, logProbability });
});

test.each([
  [
    [1, 5, 5, 1, 5, 6],
    [5, 5, 6],
    [-2, -5, -6],
  ],
  [[1, 1, 1], [], []],
  [[5, 5, 5], [5], [-1]],
  [
    [5, 6, 5],
    [5, 6, 5],
    [-1, -2, -3],
  ],
])("frames %j are read as %j", (frames, tokens, tokenLogProbabilities) => {
  const scores = Float32Array.from(frames, (_, i) => -i - 1);
  expect(collapsed(Int32Array.from(frames), scores, start)).toMatchObject({
    tokens,
    tokenLogProbabilities,
    logProbability: -((frames.length * (frames.length + 1)) / 2),
  });
});

/** Lengths that are sure. */
const lengthsOf = (lengths: readonly (readonly number[])[]): CandidateLength[][] =>
  lengths.map((tried) => tried.map((tokens) => ({ tokens, logProbability: 0 })));

/** Answers from a list, pass by pass, and keeps what it was asked. */
class ListedAnswers implements CanvasFiller {
  readonly asked: number[][] = [];
  readonly #answers: readonly (readonly (readonly [token: number, logProbability: number])[])[];

  constructor(answers: readonly (readonly (readonly [number, number])[])[]) {
    this.#answers = answers;
  }

  fill({ ids }: Canvases): Promise<Filled> {
    const answer = this.#answers[this.asked.length]!;
    this.asked.push([...ids]);
    return Promise.resolve({
      tokens: Int32Array.from(answer, ([token]) => token),
      logProbabilities: Float32Array.from(answer, ([, value]) => value),
    });
  }
}

test("each pass hides the least sure, a share that falls to 1 / T, and the others keep token and chance", async () => {
  const filler = new ListedAnswers([
    [
      [5, -0.5],
      [6, -3],
      [7, -1],
      [8, -2],
    ],
    // Of 4 places ⌊4 · 2/3⌋ = 2 are written again: what is said of the others is not heard.
    [
      [50, 0],
      [61, -0.25],
      [70, 0],
      [81, -1.5],
    ],
    // Then ⌊4 · 1/3⌋ = 1: place 3, at −1.5.
    [
      [50, 0],
      [60, 0],
      [70, 0],
      [end, -0.125],
    ],
  ]);
  const [[best]] = (await maskPredict(filler, { ...symbols, lengths: lengthsOf([[4]]), iterations: 3 })) as [[never]];
  expect(filler.asked).toEqual([
    [start, start, start, start],
    [5, start, 7, start],
    [5, 61, 7, start],
  ]);
  expect(best).toEqual({
    tokens: [5, 61, 7],
    tokenLogProbabilities: [-0.5, -0.25, -1, -0.125],
    logProbability: -1.875,
    score: -1.875 / 4,
    finished: true,
  });
});

test("candidates stand side by side, padded, and come out by the chance of length and tokens, a token", async () => {
  const filler = new ListedAnswers([
    [
      ...[3, 3, 3, 0].map((token) => [token, -2] as const), // length 3
      ...[4, 4, 0, 0].map((token) => [token, -1] as const), // length 2
      ...[5, 5, 5, 5].map((token) => [token, -3] as const), // length 4 of the second sentence
      ...[9, 9, 9, 9].map((token) => [token, 0] as const), // it has no second candidate
    ],
  ]);
  const found = await maskPredict(filler, {
    ...symbols,
    lengths: [[...lengthsOf([[3]])[0]!, { tokens: 2, logProbability: -1 }], ...lengthsOf([[4]])],
  });
  expect(filler.asked).toEqual([[1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]]);
  expect(found.map((hypotheses) => hypotheses.map(({ tokens, score }) => [tokens, score]))).toEqual([
    [
      [[4, 4], -1.5],
      [[3, 3, 3], -2],
    ],
    [[[5, 5, 5, 5], -3]],
  ]);
});

test("more passes than tokens end when nothing is left to hide", async () => {
  const filler = new ListedAnswers(Array.from({ length: 9 }, () => [[5, -1] as const]));
  await maskPredict(filler, { ...symbols, lengths: lengthsOf([[1]]), iterations: 9 });
  expect(filler.asked).toHaveLength(1);
});

test("an aborted search says so, and no number of passes below one is taken", async () => {
  const filler = new ListedAnswers([]);
  const signal = AbortSignal.abort();
  await expect(maskPredict(filler, { ...symbols, lengths: lengthsOf([[2]]), signal })).rejects.toThrow(SearchAborted);
  await expect(maskPredict(filler, { ...symbols, lengths: lengthsOf([[2]]), iterations: 0 })).rejects.toThrow(
    "decoding.iterations: must be a whole number of at least 1 (got 0).",
  );
});

test("blocks of unlike sizes are filled in one pass, each read by itself", async () => {
  const filler = new ListedAnswers([[5, end, 9, 6, 7, end].map((token, i) => [token, -i] as const)]);
  const found = await writeBlocks(filler, {
    ...symbols,
    places: [2, 3],
    read: (tokens, logProbabilities) => upToEnd(tokens, logProbabilities, end),
  });
  expect(filler.asked).toEqual([[1, 1, 0, 1, 1, 1]]);
  expect(found.map(({ tokens }) => tokens)).toEqual([[5], [6, 7]]);
});
