// Small additions to a model that stays as it is, against teaching all of it anew.
import { LanguageModelDecoder } from "heddle/models";
import {
  adapterParameters,
  addHoulsby,
  addLora,
  freezeBase,
  initialize,
  isAdapterParameter,
  namedParameters,
} from "heddle/nn";
import { judge, type Lab } from "./lab.ts";
import { barPlot } from "./plots/bar-plot.ts";
import { sideBySide } from "./plots/drawing.ts";
import { linePlot } from "./plots/line-plot.ts";
import { labelLoss, smallModel } from "./small-model.ts";
import { labelsOf } from "./tasks.ts";
import { CharacterText, writtenText } from "./text.ts";
import { meanLoss, parameterCount, teach, type Taught, type Weights } from "./training.ts";

/** The same language with other sounds: every consonant and every vowel becomes the next one. */
function dialect(text: string): string {
  const next = (letters: string) => (letter: string) => letters[(letters.indexOf(letter) + 1) % letters.length]!;
  return text.replaceAll(/[bdfgklmnprstvz]/g, next("bdfgklmnprstvz")).replaceAll(/[aeiou]/g, next("aeiou"));
}

export const adapters: Lab = {
  name: "adapters",
  claim: "LoRA and adapters fit a model to a new domain nearly as well as teaching all of it, with few parameters",
  source: "Hu et al. 2021, LoRA; Houlsby et al. 2019, Parameter-Efficient Transfer Learning",
  async run({ seed, isQuick, listener, signal }) {
    const plain = writtenText(seed);
    const home = new CharacterText({ seed, text: plain });
    const domain = new CharacterText({ seed, text: dialect(plain) });
    const { vocabularySize } = home;
    const options = { vocabularySize, dModel: isQuick ? 16 : 96, positions: "rotary" } as const;
    const shared = { labels: labelsOf, seed, listener, signal, learningRate: 2e-3 };
    const [rows, time] = isQuick ? [2, 8] : [16, 64];
    const base = smallModel(options);
    const { weights } = await teach({
      ...shared,
      model: base,
      loss: labelLoss(base),
      batch: home.batches({ rows, time }),
      steps: isQuick ? 2 : 900,
      name: "the base",
    });
    const judged = [...domain.judgement({ time, characters: isQuick ? 100 : 40_000 })];
    const ways: { name: string; put?: (model: typeof base) => void; learningRate: number }[] = [
      { name: "all of it", learningRate: 2e-3 },
      {
        name: "LoRA, rank 8",
        put: (model) => addLora(model, { targets: ["query", "key", "value", "output", "expand", "contract"], rank: 8 }),
        learningRate: 1e-2,
      },
      { name: "Houlsby, 16", put: (model) => addHoulsby(model, { bottleneck: 16 }), learningRate: 1e-2 },
    ];
    const before = await meanLoss({ model: base, loss: labelLoss(base), weights, labels: labelsOf }, judged);
    const results: { name: string; trained: number; kept: number; taught: Taught }[] = [];
    let swapMs = Number.NaN;
    for (const { name, put, learningRate } of ways) {
      const model = smallModel(options);
      put?.(model);
      if (put !== undefined) freezeBase(model);
      const loss = labelLoss(model);
      const from: Weights = new Map([...initialize(namedParameters(model), seed), ...weights]);
      const taught = await teach({
        ...shared,
        learningRate,
        model,
        loss,
        from,
        batch: domain.batches({ rows, time }),
        steps: isQuick ? 2 : 300,
        name,
      });
      const kept = await meanLoss({ model, loss, weights: taught.weights, labels: labelsOf }, judged);
      const added = [...adapterParameters(model).values()].reduce(
        (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
        0,
      );
      results.push({ name, kept, taught, trained: put === undefined ? parameterCount(model) : added });
      if (name.startsWith("LoRA")) swapMs = await swapTime(model, taught.weights);
    }
    const size = parameterCount(base);
    const [all, lora, houlsby] = results as [(typeof results)[0], (typeof results)[0], (typeof results)[0]];
    /** Of what teaching all of it gains over the base, the share that this way gains. */
    const share = ({ kept }: { kept: number }): number => (before - kept) / (before - all.kept);
    const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
    return {
      tables: [
        {
          title: `Loss on the dialect, nats a character; the base, taught on the plain language, has ${before.toFixed(3)}`,
          head: ["what is taught", "parameters taught", "of the base", "loss", "of the gain"],
          rows: results.map((result) => [
            result.name,
            result.trained.toLocaleString("en"),
            percent(result.trained / size),
            result.kept.toFixed(4),
            percent(share(result)),
          ]),
        },
      ],
      plot: sideBySide([
        barPlot({
          title: "Loss on the dialect",
          x: "what is taught",
          y: { label: "loss (nats a character)" },
          series: ["loss"],
          groups: results.map(({ name, kept }) => ({ name, bars: [{ value: kept }] })),
        }),
        linePlot({
          title: "Learning the dialect",
          x: { label: "update" },
          y: { label: "loss (nats a character)", scale: "log" },
          width: 320,
          lines: results.map(({ name, taught }) => ({ name, points: taught.curve })),
        }),
      ]),
      verdict: judge(
        [share(lora) >= 0.9, share(houlsby) >= 0.9, lora.trained < size / 4, swapMs <= 100],
        `The base loses ${before.toFixed(3)} nats a character on the dialect; taught all of it ${all.kept.toFixed(3)}, LoRA ` +
          `${lora.kept.toFixed(3)} with ${percent(lora.trained / size)} of the parameters (${percent(share(lora))} of the gain), Houlsby ` +
          `${houlsby.kept.toFixed(3)} with ${percent(houlsby.trained / size)} (${percent(share(houlsby))}). Another adapter takes its place in a ` +
          `model that is in use in ${swapMs.toFixed(1)} ms, its next token included. In a model this narrow a rank of 8 is a large share; at the ` +
          `paper's base size, on queries and values, it is 0.5 %.`,
      ),
    };
  },
};

/** From one adapter to the next token with another, in a decoder that has been at work. */
async function swapTime(model: ReturnType<typeof smallModel>, weights: Weights): Promise<number> {
  const decoder = new LanguageModelDecoder(model, weights, { threads: 1 });
  const other = new Map(
    [...weights].flatMap(([name, { dims, data }]) =>
      isAdapterParameter(name) ? [[name, { dtype: "float32", dims, data: data.map((value) => -value) }] as const] : [],
    ),
  );
  const row = Int32Array.of(0);
  const step = { sentences: row, beams: 1, tokens: Int32Array.of(1), parents: row };
  await (await decoder.start([[1]])).logProbabilities(step);
  const startMs = performance.now();
  decoder.swapAdapter(other);
  await (await decoder.start([[1]])).logProbabilities(step);
  const swapMs = performance.now() - startMs;
  await decoder.dispose();
  return swapMs;
}
