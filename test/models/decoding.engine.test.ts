// Decoding with stored keys and values gives what the decoder gives over whole targets, whatever the search does with its rows.
import { describe, expect, test } from "vitest";
import { randomKey, RandomStream } from "../../src/base/index.ts";
import { beamSearch, greedySearch, type Step } from "../../src/decode/index.ts";
import { Transformer, TransformerDecoder } from "../../src/models/index.ts";
import { expectClose } from "../close.ts";
import { arrangements, idRows, logitsOf, noisyWeights, randomRows, session, variants } from "./small-transformer.ts";

const start = 1;
const steps = 9;

describe.each([...arrangements, ...variants])("decoding with a Transformer, %s", (_, options) => {
  const model = new Transformer(options);
  const weights = noisyWeights(model);
  const width = model.output.table.shape[0]!;

  test("step by step, beams reordered and sentences leaving, every row's logits are teacher forcing's within 1e-5", async () => {
    const sources = randomRows([7, 3, 5, 1, 6], 13, 4);
    const decoder = new TransformerDecoder(model, weights, session);
    const stepper = await decoder.start(idRows(sources));
    await using whole = await logitsOf(model, weights);
    const random = new RandomStream(randomKey(9));
    const below = (n: number): number => Math.floor(random.uniform() * n);

    let sentences = [0, 1, 2, 3, 4];
    /** What each row has read so far, START first. */
    let rows = sentences.map(() => [start]);
    let parents = sentences.map((_, i) => i);
    let beams = 1;
    for (let t = 0; t < steps; t++) {
      const step: Step = {
        sentences: Int32Array.from(sentences),
        beams,
        tokens: Int32Array.from(rows, (row) => row.at(-1)!),
        parents: Int32Array.from(parents),
      };
      const got = (await stepper.logits(step)).slice();
      const owner = rows.map((_, row) => sources[sentences[Math.floor(row / beams)]!]!);
      const expected = await whole.run(idRows(owner), idRows(rows));
      for (let row = 0; row < rows.length; row++) {
        const last = (row * (t + 1) + t) * width;
        expectClose(got.subarray(row * width, (row + 1) * width), expected.data.subarray(last, last + width), {
          within: 1e-5,
          what: `step ${t}, row ${row}`,
        });
      }
      // One sentence leaves after steps 2, 4 and 5; the others' rows are drawn from their own rows of this step.
      const staying = sentences.map((_, place) => place);
      if ([2, 4, 5].includes(t)) staying.splice(below(staying.length), 1);
      const wanted = 3;
      const [before, were] = [rows, beams];
      parents = staying.flatMap((place) => Array.from({ length: wanted }, () => place * were + below(were)));
      rows = parents.map((parent) => [...before[parent]!, 1 + below(12)]);
      sentences = staying.map((place) => sentences[place]!);
      beams = wanted;
    }
    await decoder.dispose();
  });

  test("what a sentence becomes does not depend on the batch it is in", async () => {
    const sources = randomRows([7, 2, 5, 1, 6, 3], 13, 6);
    const decoder = new TransformerDecoder(model, weights, session);
    const greedy = { start, end: 2, maxTokens: 12 };
    const searches = [
      async (rows: number[][]) =>
        (await greedySearch(await decoder.start(idRows(rows)), greedy)).map((found) => [found]),
      async (rows: number[][]) =>
        beamSearch(await decoder.start(idRows(rows, { time: rows.length === 1 ? 0 : 11 })), {
          ...greedy,
          beams: 4,
          nbest: 3,
          lengthPenalty: 0.6,
        }),
    ];
    for (const search of searches) {
      const together = await search(sources);
      for (const [i, source] of sources.entries()) {
        const [alone] = await search([source]);
        expect(alone!.map(({ tokens }) => tokens)).toEqual(together[i]!.map(({ tokens }) => tokens));
        expectClose(
          alone!.map(({ score }) => score),
          together[i]!.map(({ score }) => score),
          { within: 1e-5, what: `scores of sentence ${i}` },
        );
      }
    }
    await decoder.dispose();
  });
});
