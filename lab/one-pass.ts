// How long one sentence takes: token after token, and all places at once, with the same stacks.
import { hostTensor, randomKey, RandomStream, type HostTensor } from "#base";
import { collapsed, greedySearch, maskPredict, writeBlocks } from "heddle/decode";
import {
  NonAutoregressiveDecoder,
  NonAutoregressiveTransformer,
  Transformer,
  TransformerDecoder,
  type OutputLength,
} from "heddle/models";
import { initialize, namedParameters } from "heddle/nn";
import { judge, type Lab } from "./lab.ts";
import { linePlot } from "./plots/line-plot.ts";

const [pad, start, end] = [0, 1, 2];
const session = { threads: 1 };

interface Way {
  readonly name: string;
  /** Writes one sentence of so many tokens, END counted, from as many. */
  write(source: HostTensor<"int32">, tokens: number): Promise<unknown>;
  dispose(): Promise<void>;
}

function inOrder(sizes: { vocabularySize: number }, seed: number): Way {
  const model = new Transformer(sizes);
  const decoder = new TransformerDecoder(model, initialize(namedParameters(model), seed), session);
  return {
    name: "token after token, greedy",
    // END is refused before the last place: an untrained model would stop anywhere.
    write: async (source, tokens) =>
      greedySearch(await decoder.start(source), { start, end, maxTokens: tokens, minTokens: tokens }),
    dispose: () => decoder.dispose(),
  };
}

function atOnce(
  name: string,
  length: OutputLength,
  sizes: { vocabularySize: number },
  { seed, iterations = 1, candidates = 1 }: { seed: number; iterations?: number; candidates?: number },
): Way {
  const model = new NonAutoregressiveTransformer({ ...sizes, start, end, length });
  const decoder = new NonAutoregressiveDecoder(model, initialize(namedParameters(model), seed), session);
  const symbols = { start, pad, end };
  return {
    name,
    write: async (source, tokens) => {
      const read = await decoder.read(source);
      if (length === "ctc")
        return writeBlocks(read, {
          ...symbols,
          places: [model.blockTime(tokens) as number],
          read: (ids, scores) => collapsed(ids, scores, start),
        });
      const lengths = Array.from({ length: candidates }, (_, i) => ({
        tokens: tokens - (i % 2) * i,
        logProbability: -i,
      }));
      return maskPredict(read, { ...symbols, lengths: [lengths], iterations });
    },
    dispose: () => decoder.dispose(),
  };
}

export const onePass: Lab = {
  name: "one-pass",
  claim: "Writing all places at once answers a single sentence several times sooner, the more so the longer it is",
  source: "Gu et al. 2018, Non-Autoregressive Neural Machine Translation, table 1",
  async run({ seed, isQuick, listener, signal }) {
    const sizes = {
      vocabularySize: isQuick ? 40 : 10_000,
      dModel: isQuick ? 16 : 128,
      heads: 4,
      layers: isQuick ? 1 : 4,
      dFeedForward: isQuick ? 16 : 256,
      dropout: 0,
      maxPositions: 160,
      pad,
    };
    const lengths = isQuick ? [4, 8] : [8, 16, 32, 64];
    const rounds = isQuick ? 1 : 15;
    const ways = [
      inOrder(sizes, seed),
      atOnce("one pass", "predicted", sizes, { seed }),
      atOnce("one pass, 5 lengths", "predicted", sizes, { seed, candidates: 5 }),
      atOnce("one pass, CTC", "ctc", sizes, { seed }),
      atOnce("mask-predict, 4 passes", "predicted", sizes, { seed, iterations: 4 }),
    ];
    /** Milliseconds by way and length: the fastest of all rounds, which other programs disturb least. */
    const fastest = ways.map(() => lengths.map(() => Infinity));
    try {
      for (let round = -1; round < rounds; round++) {
        for (const [at, tokens] of lengths.entries()) {
          const stream = new RandomStream(randomKey(seed, tokens));
          const ids = Array.from({ length: tokens }, () => end + 1 + stream.integer(sizes.vocabularySize - end - 1));
          const source = hostTensor("int32", [1, tokens], ids);
          for (const [i, way] of ways.entries()) {
            signal.throwIfAborted();
            const startMs = performance.now();
            await way.write(source, tokens);
            // The first round compiles.
            if (round >= 0) fastest[i]![at] = Math.min(fastest[i]![at]!, performance.now() - startMs);
          }
        }
        listener({ type: "progress", task: "sentences", done: round + 1, total: rounds });
      }
    } finally {
      for (const way of ways) await way.dispose();
    }
    const ratio = (way: number, at: number): number => fastest[0]![at]! / fastest[way]![at]!;
    const last = lengths.length - 1;
    return {
      tables: [
        {
          title: `One sentence at a time, one thread: ${sizes.layers} + ${sizes.layers} layers of dModel ${sizes.dModel}, untrained, ${sizes.vocabularySize} tokens; milliseconds (times sooner)`,
          head: ["way", ...lengths.map((tokens) => `${tokens} tokens`)],
          rows: ways.map(({ name }, i) => [
            name,
            ...lengths.map((_, at) => `${fastest[i]![at]!.toFixed(2)} (${ratio(i, at).toFixed(1)} ×)`),
          ]),
        },
      ],
      plot: linePlot({
        title: "Time of one sentence",
        x: { label: "tokens of source and output" },
        y: { label: "milliseconds" },
        lines: ways.map(({ name }, i) => ({
          name,
          points: lengths.map((tokens, at) => [tokens, fastest[i]![at]!] as const),
        })),
      }),
      verdict: judge(
        [ratio(1, last) >= 5, ratio(1, last) > ratio(1, 0)],
        `One pass is ${ratio(1, 0).toFixed(1)} times sooner than token after token at ${lengths[0]} tokens and ` +
          `${ratio(1, last).toFixed(1)} times at ${lengths[last]}; four passes are ${ratio(4, last).toFixed(1)} times sooner there.`,
      ),
    };
  },
};
