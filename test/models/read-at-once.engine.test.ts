// A beginning read in one pass leaves what reading it token by token leaves: the same logits from there on, whatever mixer and positions.
import { describe, expect, test } from "vitest";
import type { Stepper } from "../../src/decode/index.ts";
import { LanguageModel, LanguageModelDecoder, readProgram, type LanguageModelOptions } from "../../src/models/index.ts";
import type { StreamReach } from "../../src/models/index.ts";
import { isRecurrent } from "../../src/nn/index.ts";
import { expectClose } from "../close.ts";
import { noisy } from "./any-model.ts";
import { randomRows, session } from "./small-transformer.ts";

const small = { vocabularySize: 13, dModel: 16, heads: 4, layers: 2, dFeedForward: 24, maxPositions: 64 } as const;
const window = { kind: "sliding-window", window: 5 } as const;

const mixers = {
  full: "full",
  tiled: "tiled",
  window,
  "window and sinks": { ...window, sinks: 2 },
  "dilated window": { ...window, dilation: 2 },
  longformer: { kind: "longformer", window: 3, globalTokens: 1 },
  linear: "linear",
  retention: "retention",
  mamba: "mamba",
} as const satisfies Record<string, LanguageModelOptions["attention"]>;
const positions = ["none", "sinusoidal", "learned", "rotary", "xpos", "alibi", "relative"] as const;

/** Attention alone knows positions of its own kind; linear attention turns, but adds nothing to scores that it does not have. */
const goTogether = (mixer: keyof typeof mixers, position: (typeof positions)[number]): boolean =>
  mixer === "retention" || mixer === "mamba"
    ? ["none", "sinusoidal", "learned"].includes(position)
    : mixer !== "linear" || !["alibi", "relative", "xpos"].includes(position);

const cases: [name: string, options: LanguageModelOptions, stream?: StreamReach][] = [
  ...Object.keys(mixers).flatMap((mixer) =>
    positions
      .filter((position) => goTogether(mixer as keyof typeof mixers, position))
      .map((position): [string, LanguageModelOptions] => [
        `${mixer}, ${position}`,
        { ...small, attention: mixers[mixer as keyof typeof mixers], positions: position },
      ]),
  ),
  ["two heads of keys, rotary", { ...small, positions: "rotary", keyValueHeads: 2 }],
  ["experts, post-norm", { ...small, feedForward: { kind: "experts", experts: 3 }, norm: "post" }],
  ["no end, rotary", { ...small, positions: "rotary" }, { sinks: 2, window: 6 }],
  ["no end, ALiBi, a beginning within the window", { ...small, positions: "alibi" }, { sinks: 1, window: 40 }],
  ["no end, relative", { ...small, positions: "relative" }, { sinks: 0, window: 12 }],
];

/** Logits of the tokens after the first `from`, one after the other, with two rows a sentence from the second on where that can be. */
async function goOn(stepper: Stepper, texts: readonly (readonly number[])[], from: number, beams: number) {
  const found: Float32Array[] = [];
  const sentences = Int32Array.from(texts, (_, i) => i);
  let before = 1;
  for (let place = from; place < from + 4; place++) {
    const wide = place === from ? 1 : beams;
    const rows = Array.from({ length: texts.length * wide }, (_, row) => row);
    const tokens = Int32Array.from(rows, (row) => (texts[Math.floor(row / wide)]![place]! + (row % wide)) % 13);
    const parents = Int32Array.from(
      rows,
      (row) => Math.floor(row / wide) * before + (before === 1 ? 0 : 1 - (row % wide)),
    );
    found.push((await stepper.logits!({ sentences, beams: wide, tokens, parents })).slice());
    before = wide;
  }
  return found;
}

describe.each(cases)("%s", (_, options, stream) => {
  test("what follows a beginning read at once is what follows it read token by token", async () => {
    const model = new LanguageModel(options);
    expect(model.readsAtOnce).toBe(true);
    const decoder = new LanguageModelDecoder(model, noisy(model), session, { ...(stream && { stream }) });
    const texts = randomRows([24, 24], 13, 3).map((row) => row.map((id) => id % 13));
    const beams = stream === undefined ? 2 : 1;
    const told = 18;
    const atOnce = await decoder.start(texts.map((text) => text.slice(0, told + 1)));
    const oneByOne = await decoder.start(texts.map((text) => text.slice(0, 1)));
    const rows = Int32Array.of(0, 1);
    for (let place = 0; place < told; place++)
      await oneByOne.read({
        sentences: rows,
        beams: 1,
        tokens: Int32Array.from(texts, (text) => text[place]!),
        parents: rows,
      });
    const expected = await goOn(oneByOne, texts, told, beams);
    for (const [i, logits] of (await goOn(atOnce, texts, told, beams)).entries())
      expectClose(logits, expected[i]!, { within: 1e-5, what: `token ${i} after the beginning` });
    await decoder.dispose();
  });
});

test("a model says that it cannot where a mixer keeps a state that only steps can work out, and is read token by token", async () => {
  const model = new LanguageModel({ ...small, attention: "retention", positions: "none" });
  for (const { selfAttention } of model.decoder.layers) Object.assign(selfAttention, { read: undefined });
  const [mixer] = model.decoder.layers.map(({ selfAttention }) => selfAttention);
  expect(isRecurrent(mixer!)).toBe(true);
  expect(model.readsAtOnce).toBe(false);
  const decoder = new LanguageModelDecoder(model, noisy(model), session);
  const text = randomRows([20], 13, 4);
  const stepper = await decoder.start(text);
  await expect(
    stepper.logits({ sentences: Int32Array.of(0), beams: 1, tokens: Int32Array.of(1), parents: Int32Array.of(0) }),
  ).resolves.toHaveLength(13);
  await decoder.dispose();
  expect(() => readProgram(model)).toThrow("layer 0: its mixer reads token by token only.");
});
