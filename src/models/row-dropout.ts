// Dropout that stays on while decoding: which of it, and the random bytes that each row of a step gets.
import { ConfigError, randomKey, randomWord, type HostTensor } from "../base/index.ts";
import { equalDims, evaluateDim, randomInputs, withDropoutWhere, type Program, type Tensor } from "../tensor/index.ts";
import { StepTrace } from "./step-trace.ts";

const prefix = "random.";

/** Parts these bytes from what else is drawn with a sentence's seed. */
const stream = 0xd20b;

/**
 * The program of a step with its dropout as in training, on everything that is a row's own: the sums of embeddings and
 * positions, sublayers, what stands between a feed-forward layer's two. Attention's weights and experts' hidden values, which rows
 * share, keep none, and no layer is left out. What is dropped is decided by the inputs `random.0`, `random.1` …
 */
export function withRowDropout(program: Program, beams: number): Program {
  const { batch, rows } = new StepTrace(beams);
  const isOfRows = ({ shape: [first, ...rest] }: Tensor): boolean =>
    first !== undefined &&
    rest.every((size) => typeof size === "number") &&
    (equalDims(first, rows) || (equalDims(first, batch) && rest[0] === beams));
  const kept = withDropoutWhere(program, isOfRows);
  const inputs = { ...kept.inputs };
  for (const [site, bytes] of randomInputs(kept).entries()) inputs[`${prefix}${site}`] = bytes;
  return { ...kept, inputs };
}

/**
 * Random bytes for such programs. What a sentence gets depends on its seed, the step and the place in the model alone, so neither on its
 * neighbours nor on how a batch is put together; its hypotheses get the same, as it is one network that they are compared by.
 */
export class RowDropout {
  readonly #seeds: readonly number[];

  /** A seed for each sentence; the list may grow as sentences join. */
  constructor(seeds: readonly number[]) {
    this.#seeds = seeds;
  }

  /** Feeds for a step over these sentences, each so many tokens after its beginning. */
  feeds(
    { inputs }: Program,
    { sentences, beams, written }: { sentences: ArrayLike<number>; beams: number; written: ArrayLike<number> },
  ): Record<string, HostTensor<"uint8">> {
    const batch = sentences.length;
    const feeds: Record<string, HostTensor<"uint8">> = {};
    for (const [name, { shape }] of Object.entries(inputs)) {
      if (!name.startsWith(prefix)) continue;
      const site = Number(name.slice(prefix.length));
      const dims = shape.map((size) => evaluateDim(size, new Map([["batch", batch]])));
      const width = dims.reduce((a, b) => a * b, 1) / (batch * beams);
      // Rows lie beam by beam, or by sentence where the beams have an axis of their own.
      const isBeamByBeam = dims[0] === batch * beams;
      const data = new Uint8Array(batch * beams * width);
      for (let place = 0; place < batch; place++) {
        const seed = this.#seeds[sentences[place]!];
        if (seed === undefined)
          throw new ConfigError("dropoutSeeds", `nothing was said of sentence ${sentences[place]} when it was let in.`);
        const own = bytesOf(randomKey(seed, stream, written[place]!, site), width);
        for (let beam = 0; beam < beams; beam++)
          data.set(own, (isBeamByBeam ? beam * batch + place : place * beams + beam) * width);
      }
      feeds[name] = { dtype: "uint8", dims, data };
    }
    return feeds;
  }
}

function bytesOf(key: { readonly low: number; readonly high: number }, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let word = 0; 4 * word < count; word++) {
    const bits = randomWord(key, word);
    for (let i = 4 * word; i < Math.min(count, 4 * word + 4); i++) bytes[i] = bits >>> (8 * (i % 4));
  }
  return bytes;
}
