// Two equally good translations of everything: what becomes of them where all places are written at once.
import { hostTensor, randomKey, RandomStream } from "#base";
import { greedySearch, maskPredict, likelyLengths } from "heddle/decode";
import {
  NonAutoregressiveDecoder,
  nonAutoregressiveLoss,
  NonAutoregressiveTransformer,
  teacherForcing,
  Transformer,
  TransformerDecoder,
} from "heddle/models";
import { judge, type Lab, type LabContext } from "./lab.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { targetsOf } from "./tasks.ts";
import { teach, type Batch, type Weights } from "./training.ts";

const [pad, start, end, first] = [0, 1, 2, 3];
const [symbols, time] = [12, 6];
const vocabularySize = first + 3 * symbols;
const sizes = { vocabularySize, dModel: 64, heads: 4, layers: 2, dFeedForward: 128, dropout: 0, maxPositions: 16, pad };

type Sentence = readonly number[];

/** Every symbol has a word in each of two registers; a translation keeps to one of them. */
const inRegister = (source: Sentence, register: number): number[] =>
  source.map((symbol) => symbol + (1 + register) * symbols);

function sentences(count: number, stream: RandomStream): Sentence[] {
  return Array.from({ length: count }, () => Array.from({ length: time }, () => first + stream.integer(symbols)));
}

function batchOf(pairs: readonly (readonly [Sentence, Sentence])[]): Batch {
  return {
    sourceIds: hostTensor(
      "int32",
      [pairs.length, time],
      pairs.flatMap(([source]) => [...source]),
    ),
    targetIds: hostTensor(
      "int32",
      [pairs.length, time + 2],
      pairs.flatMap(([, target]) => [start, ...target, end]),
    ),
  };
}

type Writes = (sources: readonly Sentence[]) => Promise<number[][]>;

interface Outcome {
  readonly name: string;
  /** Shares of outputs. */
  readonly clean: number;
  readonly mixed: number;
  readonly wrong: number;
}

/** An output is clean if it is one of the two translations, mixed if every word is right and both registers occur. */
async function judged(name: string, sources: readonly Sentence[], writes: Writes): Promise<Outcome> {
  const outputs = await writes(sources);
  let [clean, mixed] = [0, 0];
  for (const [i, output] of outputs.entries()) {
    const [plain, fine] = [0, 1].map((register) => inRegister(sources[i]!, register)) as [number[], number[]];
    if (output.join() === plain.join() || output.join() === fine.join()) clean++;
    else if (output.length === time && output.every((word, place) => word === plain[place] || word === fine[place]))
      mixed++;
  }
  const of = (count: number): number => count / sources.length;
  return { name, clean: of(clean), mixed: of(mixed), wrong: of(sources.length - clean - mixed) };
}

const idsOf = (sources: readonly Sentence[]) => hostTensor("int32", [sources.length, time], sources.flat());

/** All outputs in their order, some hundreds at a time. */
async function inParts(sources: readonly Sentence[], write: Writes): Promise<number[][]> {
  const outputs: number[][] = [];
  for (let at = 0; at < sources.length; at += 256) outputs.push(...(await write(sources.slice(at, at + 256))));
  return outputs;
}

async function teacherWrites(model: Transformer, weights: Weights, sources: readonly Sentence[]): Promise<number[][]> {
  const decoder = new TransformerDecoder(model, weights, { threads: 1 });
  try {
    return await inParts(sources, async (part) => {
      const found = await greedySearch(await decoder.start(idsOf(part)), { start, end, maxTokens: time + 2 });
      return found.map(({ tokens }) => tokens);
    });
  } finally {
    await decoder.dispose();
  }
}

async function studentWrites(
  model: NonAutoregressiveTransformer,
  weights: Weights,
  sources: readonly Sentence[],
): Promise<number[][]> {
  await using decoder = new NonAutoregressiveDecoder(model, weights, { threads: 1 });
  return await inParts(sources, async (part) => {
    const read = await decoder.read(idsOf(part));
    const lengths = part.map((_, i) =>
      likelyLengths(read.lengthScores(i), { sourceTokens: time, count: 1, maxTokens: time + 2 }),
    );
    const found = await maskPredict(read, { lengths, start, pad, end });
    return found.map(([best]) => best!.tokens);
  });
}

export const multiModality: Lab = {
  name: "multi-modality",
  claim:
    "A decoder that writes all places at once mixes translations that are each right; what a teacher wrote has one only",
  source:
    "Gu et al. 2018, Non-Autoregressive Neural Machine Translation; Kim and Rush 2016, Sequence-Level Knowledge Distillation",
  async run({ seed, isQuick, listener, signal }: LabContext) {
    const drawn = new RandomStream(randomKey(seed, 1));
    const corpus = sentences(isQuick ? 50 : 8000, drawn);
    const kept = sentences(isQuick ? 20 : 1000, drawn);
    const rows = isQuick ? 8 : 64;
    // Each source comes with either translation, half of the time each.
    const raw = (step: number): Batch => {
      const stream = new RandomStream(randomKey(seed, 2, step));
      const one = (): readonly [Sentence, Sentence] => {
        const source = corpus[stream.integer(corpus.length)]!;
        return [source, inRegister(source, stream.integer(2))];
      };
      return batchOf(Array.from({ length: rows }, one));
    };
    const common = {
      labels: targetsOf,
      steps: isQuick ? 3 : 1200,
      learningRate: 2e-3,
      warmup: 100,
      clip: 1,
      seed,
      listener,
      signal,
      session: { threads: 1 },
    };

    const teacher = new Transformer(sizes);
    const taught = await teach({
      ...common,
      model: teacher,
      loss: teacherForcing(teacher),
      batch: raw,
      name: "token by token",
    });
    const written = await teacherWrites(teacher, taught.weights, corpus);
    signal.throwIfAborted();
    // The few that came out at another length would need batches of their own.
    const pairs = corpus.flatMap((source, i) => (written[i]!.length === time ? [[source, written[i]!] as const] : []));
    const distilled = (step: number): Batch => {
      const stream = new RandomStream(randomKey(seed, 3, step));
      return pairs.length === 0
        ? raw(step)
        : batchOf(Array.from({ length: rows }, () => pairs[stream.integer(pairs.length)]!));
    };

    const outcomes = [
      await judged("token by token", kept, (sources) => teacherWrites(teacher, taught.weights, sources)),
    ];
    for (const { name, batch } of [
      { name: "all at once, both translations", batch: raw },
      { name: "all at once, the teacher's alone", batch: distilled },
    ]) {
      const student = new NonAutoregressiveTransformer({ ...sizes, start, end, lengthReach: 4 });
      const { weights } = await teach({ ...common, model: student, loss: nonAutoregressiveLoss(student), batch, name });
      outcomes.push(await judged(name, kept, (sources) => studentWrites(student, weights, sources)));
    }
    const [autoregressive, undistilled, student] = outcomes as [Outcome, Outcome, Outcome];
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    return {
      tables: [
        {
          title: `${symbols} symbols with two words each, ${time} to a sentence; ${kept.length} sentences that training never saw`,
          head: ["decoder, and what it learnt from", "one of the two", "mixed", "a wrong word"],
          rows: outcomes.map(({ name, clean, mixed, wrong }) => [name, ...[clean, mixed, wrong].map(percent)]),
        },
      ],
      plot: barPlot({
        title: "Outputs in which both translations are mixed",
        x: "decoder, and what it learnt from",
        y: { label: "mixed outputs (%)", to: 100 },
        series: ["mixed"],
        groups: outcomes.map(({ name, mixed }) => ({ name, bars: [{ value: 100 * mixed }] })),
      }),
      verdict: judge(
        [autoregressive.mixed <= 0.01, undistilled.mixed >= 0.2, student.mixed <= 0.02],
        `Token by token ${percent(autoregressive.mixed)} of the outputs are mixed, all at once ${percent(undistilled.mixed)}, ` +
          `and ${percent(student.mixed)} when taught what the first one wrote.`,
      ),
    };
  },
};
