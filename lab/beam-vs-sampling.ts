// The same four ways to decode, where there is one right answer and where there is none: a translation, and a text gone on with.
import { corpusOf, textsOf } from "heddle/data";
import { Bleu } from "heddle/metrics";
import { LanguageModel, Transformer } from "heddle/models";
import { TextGeneration, Translation } from "heddle/tasks";
import { BpeTokenizer, WordTokenizer } from "heddle/text";
import { judge, type Lab, type LabContext } from "./lab.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { sideBySide } from "./plots/drawing.ts";
import { intervalOf } from "./statistics.ts";
import { writtenText } from "./text.ts";
import { translatedSentences } from "./tongues.ts";

const ways = {
  "beam 5": { search: "beam", beams: 5 },
  greedy: { search: "beam", beams: 1 },
  "nucleus 0.9": { search: "sample", topP: 0.9 },
  "pure sampling": { search: "sample" },
} as const;
type Way = keyof typeof ways;
const names = Object.keys(ways) as Way[];
const session = { threads: 1 };

/** Tokens that a text is gone on with, and of which no four in a row should come twice. */
const written = 256;
const gramSize = 4;

/** Share of a text's n-grams that stood in it before. */
function repeatedShare(tokens: readonly string[]): number {
  const grams = tokens.slice(gramSize - 1).map((_, i) => tokens.slice(i, i + gramSize).join(" "));
  return 1 - new Set(grams).size / grams.length;
}

const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

interface Translated {
  readonly bleu: number;
  /** Share of the sentences that are translated without a fault. */
  readonly right: number;
}

async function translations({ seed, isQuick, listener, signal }: LabContext): Promise<Record<Way, Translated>> {
  const pairs = translatedSentences({ seed, count: isQuick ? 60 : 6000 });
  const [kept, taught] = [pairs.slice(0, isQuick ? 10 : 500), pairs.slice(isQuick ? 10 : 500)];
  const tokenizer = WordTokenizer.train(taught.flat());
  const model = new Transformer({
    vocabularySize: tokenizer.vocabularySize,
    dModel: isQuick ? 16 : 64,
    heads: 4,
    layers: 2,
    dFeedForward: isQuick ? 16 : 128,
    maxPositions: 32,
  });
  await using translation = new Translation({ model, tokenizer, session, listener });
  await translation.train(corpusOf(taught), {
    steps: isQuick ? 2 : 450,
    batchTokens: 1024,
    learningRate: 3e-3,
    warmup: 100,
    seed,
    stop: signal,
  });
  signal.throwIfAborted();
  const sources = kept.map(([source]) => source);
  const references = kept.map(([, target]) => target);
  const outcomes: Partial<Record<Way, Translated>> = {};
  for (const name of names) {
    const outputs = await translation.translate(sources, { ...ways[name], maxLength: 24, seed, signal });
    outcomes[name] = {
      bleu: new Bleu({ tokenize: "none", force: true }).corpus(outputs, [references]).score,
      right: meanOf(outputs.map((output, i) => (output === references[i] ? 1 : 0))),
    };
  }
  return outcomes as Record<Way, Translated>;
}

interface Continued {
  readonly repeated: number;
  /** Of beginnings and what was written behind them, under the model that wrote. */
  readonly perplexity: number;
}

async function continuations({
  seed,
  isQuick,
  listener,
  signal,
  text = writtenText(seed),
}: LabContext): Promise<Record<Way | "real text", Continued>> {
  const split = Math.floor(0.9 * text.length);
  const taught = text.slice(0, isQuick ? 5000 : split);
  const tokenizer = BpeTokenizer.train([taught], { vocabularySize: isQuick ? 300 : 600 });
  const model = new LanguageModel({
    vocabularySize: tokenizer.vocabularySize,
    dModel: isQuick ? 16 : 96,
    heads: 4,
    layers: 2,
    positions: "rotary",
    maxPositions: 1024,
  });
  const tokens = isQuick ? 12 : written;
  const contextTokens = tokens + 32;
  const scoring = { contextTokens };
  await using generation = new TextGeneration({ model, tokenizer, session, scoring, listener });
  await generation.train(textsOf([taught]), {
    steps: isQuick ? 2 : 600,
    contextTokens,
    batchTokens: 8 * contextTokens,
    learningRate: 3e-3,
    warmup: isQuick ? 1 : 60,
    schedule: "cosine",
    seed,
    stop: signal,
  });
  signal.throwIfAborted();
  // Beginnings of some sixty characters, word by word, from all over what was not taught.
  const count = isQuick ? 3 : 50;
  const stride = Math.floor((text.length - split) / count);
  const pieces = Array.from({ length: count }, (_, i) => {
    const from = text.indexOf(" ", split + i * stride) + 1;
    const until = text.indexOf(" ", from + 60);
    return { prompt: text.slice(from, until), rest: text.slice(until, until + 20 * tokens) };
  });
  const examined = async (texts: readonly string[], spelt: readonly (readonly string[])[]): Promise<Continued> => ({
    repeated: meanOf(spelt.map(repeatedShare)),
    perplexity: (await generation.score(textsOf(texts))).perplexity,
  });
  const real = pieces.map(({ rest }) => tokenizer.encode(rest).slice(0, tokens));
  const outcomes: Partial<Record<Way | "real text", Continued>> = {};
  for (const name of names) {
    const found = await generation.generate(
      pieces.map(({ prompt }) => prompt),
      { ...ways[name], minLength: tokens, maxLength: tokens, seed, signal },
    );
    outcomes[name] = await examined(
      found.map(({ prompt, continuation }) => prompt + continuation),
      found.map((one) => one.continuations[0]!.tokens),
    );
  }
  outcomes["real text"] = await examined(
    real.map((ids, i) => `${pieces[i]!.prompt} ${tokenizer.decode(ids)}`),
    real.map((ids) => ids.map(String)),
  );
  return outcomes as Record<Way | "real text", Continued>;
}

export const beamVersusSampling: Lab = {
  name: "beam-vs-sampling",
  claim:
    "Where one answer is right, search for the likeliest; where many are, draw: beam search translates best and repeats itself most",
  source: "Holtzman et al. 2020, The Curious Case of Neural Text Degeneration",
  usesText: true,
  async run(context) {
    const seeds = Array.from({ length: context.isQuick ? 1 : 3 }, (_, i) => context.seed + i);
    const [translated, continued]: [Record<Way, Translated>[], Record<Way | "real text", Continued>[]] = [[], []];
    for (const [i, seed] of seeds.entries()) {
      context.signal.throwIfAborted();
      context.listener({ type: "progress", task: "seeds", done: i, total: seeds.length });
      const ofSeed = { ...context, seed };
      translated.push(await translations(ofSeed));
      continued.push(await continuations(ofSeed));
    }
    const bleu = (way: Way): number[] => translated.map((outcome) => outcome[way].bleu);
    const right = (way: Way): number[] => translated.map((outcome) => 100 * outcome[way].right);
    const repeated = (way: Way | "real text"): number[] => continued.map((outcome) => 100 * outcome[way].repeated);
    const perplexity = (way: Way | "real text"): number[] => continued.map((outcome) => outcome[way].perplexity);
    const shown = (values: readonly number[]): string => {
      const { mean, radius } = intervalOf(values);
      return radius === 0 ? mean.toFixed(1) : `${mean.toFixed(1)} ± ${radius.toFixed(1)}`;
    };
    const bar = (values: readonly number[]) => {
      const { mean, radius } = intervalOf(values);
      return { value: mean, ...(radius > 0 && { low: mean - radius, high: mean + radius }) };
    };
    const all = [...names, "real text"] as const;
    const drawn = ["nucleus 0.9", "pure sampling"] as const;
    const isBetter = drawn.every((way) => bleu(way).every((value, i) => bleu("beam 5")[i]! >= value));
    const repeatsMore = repeated("nucleus 0.9").every((share, i) => repeated("beam 5")[i]! >= 2 * share);
    const gap = (way: Way): number => Math.abs(meanOf(repeated(way)) - meanOf(repeated("real text")));
    return {
      tables: [
        {
          title: `One right answer: sentences of an invented language, translated; ${seeds.length} seeds, mean and 95 % interval`,
          head: ["decoding", "BLEU", "without a fault (%)"],
          rows: names.map((way) => [way, shown(bleu(way)), shown(right(way))]),
        },
        {
          title: `No right answer: ${written} tokens behind each of 50 beginnings; 4-grams that stood in the same text before, and the perplexity of the whole for the model that wrote it`,
          head: ["decoding", "repeated 4-grams (%)", "perplexity"],
          rows: all.map((way) => [way, shown(repeated(way)), shown(perplexity(way))]),
        },
      ],
      plot: sideBySide([
        barPlot({
          title: "Translation",
          x: "decoding",
          y: { label: "BLEU", to: 100 },
          width: 400,
          series: ["BLEU"],
          groups: names.map((name) => ({ name, bars: [bar(bleu(name))] })),
        }),
        barPlot({
          title: "Going on with a text",
          x: "decoding",
          y: { label: "repeated 4-grams (%)", to: 100 },
          width: 460,
          series: ["repeated 4-grams"],
          groups: all.map((name) => ({ name, bars: [bar(repeated(name))] })),
        }),
      ]),
      verdict: judge(
        [isBetter, repeatsMore, gap("nucleus 0.9") < gap("beam 5")],
        `Beam search translates with ${shown(bleu("beam 5"))} BLEU, nucleus sampling with ${shown(bleu("nucleus 0.9"))}, pure sampling with ` +
          `${shown(bleu("pure sampling"))}; of the 4-grams behind a beginning beam search repeats ${shown(repeated("beam 5"))} %, nucleus ` +
          `sampling ${shown(repeated("nucleus 0.9"))} %, real text ${shown(repeated("real text"))} %. What beam search writes is likelier ` +
          `for the model than what people or grammars write: perplexity ${shown(perplexity("beam 5"))} against ${shown(perplexity("real text"))}.`,
      ),
    };
  },
};
