// The LSTM encoder-decoder: decoding gives what teacher forcing gives, padding changes nothing, gradients are slopes.
import { describe, expect, test } from "vitest";
import { ConfigError, hostTensor, randomKey, RandomStream, type HostTensor } from "../../src/base/index.ts";
import { beamSearch, greedySearch, type Step } from "../../src/decode/index.ts";
import { compile } from "../../src/engine/index.ts";
import { LstmTranslator, type LstmTranslatorOptions } from "../../src/models/lstm-translator.ts";
import { teacherForcing, TransformerDecoder } from "../../src/models/index.ts";
import { namedParameters, parameterInputs } from "../../src/nn/index.ts";
import { affine, dim, input, withoutDropout } from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { expectSlopes, noisyWeights } from "../nn/module-program.ts";
import { idRows, randomRows, session } from "./small-transformer.ts";

const vocabularySize = 13;
const start = 1;

const cases: readonly (readonly [string, LstmTranslatorOptions])[] = [
  ["with attention", { vocabularySize, dModel: 6, dHidden: 8, layers: 2 }],
  ["without attention", { vocabularySize, dModel: 6, layers: 1, attention: "none" }],
  [
    "with two vocabularies and a table for each end",
    { vocabularySize: { source: 15, target: vocabularySize }, dModel: 4, dHidden: 6, layers: 2, tying: "none" },
  ],
  ["without attention, two layers", { vocabularySize, dModel: 6, dHidden: 4, layers: 2, attention: "none" }],
];

/** Logits [batch, targetTime, vocabulary] of teacher forcing. */
async function wholeLogits(model: LstmTranslator, weights: ReadonlyMap<string, HostTensor>) {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const targetIds = input("targetIds", "int32", [dim("batch"), dim("targetTime")]);
  const { table, bias } = model.outputLayer();
  const { hidden } = model.teacherForced(sourceIds, targetIds);
  const logits = affine(hidden, table, bias, { transposeB: true });
  const inputs = { ...parameterInputs(namedParameters(model)), sourceIds, targetIds };
  const run = await compile(withoutDropout({ name: "logits", inputs, outputs: { logits } }), session);
  return {
    run: async (source: HostTensor<"int32">, target: HostTensor<"int32">): Promise<Float32Array> =>
      (await run.run({ ...Object.fromEntries(weights), sourceIds: source, targetIds: target })).logits!
        .data as Float32Array,
    [Symbol.asyncDispose]: () => run.dispose(),
  };
}

describe.each(cases)("a translator %s", (_, options) => {
  const model = new LstmTranslator(options);
  const weights = noisyWeights(model, 1);

  test("writes step by step, beams reordered and sentences leaving, what teacher forcing gives within 1e-5", async () => {
    const sources = randomRows([7, 3, 5, 1, 6], vocabularySize, 4);
    const decoder = new TransformerDecoder(model, weights, session);
    const stepper = await decoder.start(idRows(sources));
    await using whole = await wholeLogits(model, weights);
    const random = new RandomStream(randomKey(9));
    let sentences = [0, 1, 2, 3, 4];
    /** What each row has read so far, START first. */
    let rows = sentences.map(() => [start]);
    let parents = sentences.map((place) => place);
    let beams = 1;
    for (let t = 0; t < 7; t++) {
      const step: Step = {
        sentences: Int32Array.from(sentences),
        beams,
        tokens: Int32Array.from(rows, (row) => row.at(-1)!),
        parents: Int32Array.from(parents),
      };
      const got = (await stepper.logits(step)).slice();
      const owner = rows.map((_row, row) => sources[sentences[Math.floor(row / beams)]!]!);
      const expected = await whole.run(idRows(owner), idRows(rows));
      for (let row = 0; row < rows.length; row++) {
        const last = (row * (t + 1) + t) * vocabularySize;
        expectClose(
          got.subarray(row * vocabularySize, (row + 1) * vocabularySize),
          expected.subarray(last, last + vocabularySize),
          { within: 1e-5, what: `step ${t}, row ${row}` },
        );
      }
      const staying = sentences.map((_sentence, place) => place);
      if (t === 2 || t === 4) staying.splice(random.integer(staying.length), 1);
      const [before, were] = [rows, beams];
      beams = 3;
      parents = staying.flatMap((place) => Array.from({ length: beams }, () => place * were + random.integer(were)));
      rows = parents.map((parent) => [...before[parent]!, 1 + random.integer(vocabularySize - 1)]);
      sentences = staying.map((place) => sentences[place]!);
    }
    await decoder.dispose();
  });

  test("finds the same translations whatever batch and padding a sentence is in", async () => {
    const sources = randomRows([7, 2, 5, 1], vocabularySize, 6);
    const decoder = new TransformerDecoder(model, weights, session);
    const greedy = { start, end: 2, maxTokens: 9 };
    const search = async (rows: number[][], time = 0) => {
      const best = await greedySearch(await decoder.start(idRows(rows, { time })), greedy);
      const beam = await beamSearch(await decoder.start(idRows(rows, { time })), { ...greedy, beams: 3, nbest: 2 });
      return best.map((found, i) => [found, ...beam[i]!]);
    };
    const together = await search(sources);
    for (const [i, source] of sources.entries()) {
      const [alone] = await search([source], 11);
      expect(alone!.map(({ tokens }) => tokens)).toEqual(together[i]!.map(({ tokens }) => tokens));
      expectClose(
        alone!.map(({ score }) => score),
        together[i]!.map(({ score }) => score),
        { within: 1e-5, what: `scores of sentence ${i}` },
      );
    }
    await decoder.dispose();
  });

  test("has, for every weight, the gradient that differences of the loss show", async () => {
    const tame = new LstmTranslator({ ...options, dropout: 0 });
    const { inputs, loss } = teacherForcing(tame, { labelSmoothing: 1 / 8 });
    await expectSlopes(
      tame,
      { inputs, loss },
      {
        sourceIds: idRows([
          [1, 2, 3, 4],
          [5, 6],
        ]),
        targetIds: idRows([
          [1, 3, 2],
          [1, 4, 5, 6, 2],
        ]),
        tokenWeight: hostTensor("float32", [], [1 / 8]),
      },
    );
  });
});

test("without attention decoding reads nothing of the source but states of a fixed size", () => {
  const ids = input("ids", "int32", [dim("batch"), dim("sourceTime")]);
  const fixed = new LstmTranslator({ vocabularySize, dModel: 6, layers: 2, attention: "none" }).readSource(ids);
  expect(Object.keys(fixed)).toEqual(["state.0.hidden", "state.0.cell", "state.1.hidden", "state.1.cell"]);
  for (const { shape } of Object.values(fixed)) expect(shape).toEqual([dim("batch"), 6]);
  expect(Object.keys(new LstmTranslator({ vocabularySize, dModel: 6, layers: 1 }).readSource(ids))).toContain("values");
});

test("a change of a later target token changes no earlier logits", async () => {
  const model = new LstmTranslator({ vocabularySize, dModel: 6, layers: 2 });
  await using whole = await wholeLogits(model, noisyWeights(model, 2));
  const source = idRows([[3, 4, 5]]);
  const [a, b] = [await whole.run(source, idRows([[1, 6, 7, 8]])), await whole.run(source, idRows([[1, 6, 9, 8]]))];
  expect(a.slice(0, 2 * vocabularySize)).toEqual(b.slice(0, 2 * vocabularySize));
  expect(a.slice(2 * vocabularySize)).not.toEqual(b.slice(2 * vocabularySize));
});

test("one table for two vocabularies is refused", () => {
  const options = { vocabularySize: { source: 5, target: 7 }, tying: "three-way" } as const;
  expect(() => new LstmTranslator(options)).toThrow(ConfigError);
});
