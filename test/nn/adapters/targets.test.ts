// Which layers a name means, what is said of a wrong one, and how few parameters adapters have.
import { describe, expect, test } from "vitest";
import { elementCount } from "../../../src/base/index.ts";
import { Transformer } from "../../../src/models/index.ts";
import {
  adapterOptions,
  addHoulsby,
  addLora,
  freezeBase,
  namedParameters,
  targetedLinears,
  type Module,
} from "../../../src/nn/index.ts";
import { SmallModel } from "./small-model.ts";

describe("a target is the end of a path", () => {
  const model = new SmallModel();
  test.each([
    [["query"], ["layers.0.selfAttention.query", "layers.1.selfAttention.query"]],
    [["layers.1.selfAttention.query"], ["layers.1.selfAttention.query"]],
    [["layers.*.feedForward.expand"], ["layers.0.feedForward.expand", "layers.1.feedForward.expand"]],
    [["0.*.*t"], ["layers.0.selfAttention.output", "layers.0.feedForward.contract"]],
    [
      ["value", "query", "0.selfAttention.query"],
      [
        "layers.0.selfAttention.query",
        "layers.0.selfAttention.value",
        "layers.1.selfAttention.query",
        "layers.1.selfAttention.value",
      ],
    ],
  ])("%j", (targets, paths) => {
    expect([...targetedLinears(model, targets).keys()]).toEqual(paths);
  });

  test.each([
    [
      ["querry"],
      /no linear layer's path ends in "querry"\. Did you mean query\? .* called query, key, value, output, expand, contract/,
    ],
    [["uery"], /path ends in "uery"/],
    [
      ["query", "layers.2.selfAttention.query"],
      /ends in "layers\.2\.selfAttention\.query"\. Did you mean layers\.\*\.selfAttention\.query\?/,
    ],
    [["selfAtention.key"], /Did you mean selfAttention\.key\?/],
    [["q.*"], /ends in "q\.\*"/],
    [[], /is empty\. Name layers: query, key/],
  ])("%j matches nothing and says so", (targets, message) => {
    expect(() => targetedLinears(model, targets)).toThrow(message);
  });
});

describe("refused", () => {
  const cases: readonly (readonly [string, (model: Module) => unknown, RegExp])[] = [
    [
      "a rank of 0",
      (m) => addLora(m, { targets: ["query"], rank: 0 }),
      /adapter\.rank: must be a whole number of at least 1 \(got 0\)/,
    ],
    [
      "a rank beyond the layer",
      (m) => addLora(m, { targets: ["query"], rank: 13 }),
      /layers\.0\.selfAttention\.query is \[12, 12\], got rank 13/,
    ],
    ["an alpha of 0", (m) => addLora(m, { targets: ["query"], rank: 2, alpha: 0 }), /adapter\.alpha/],
    ["dropping everything", (m) => addLora(m, { targets: ["query"], rank: 2, dropout: 1 }), /adapter\.dropout/],
    ["half a bottleneck", (m) => addHoulsby(m, { bottleneck: 2.5 }), /adapter\.bottleneck/],
    ["freezing without adapters", (m) => freezeBase(m), /nothing would be left to train/],
    [
      "one description of unlike adapters",
      (m) => {
        addLora(m, { targets: ["query"], rank: 2 });
        addLora(m, { targets: ["value"], rank: 3 });
        adapterOptions(m);
      },
      /0\.selfAttention\.query and layers\.0\.selfAttention\.value have adapters of unlike kinds or sizes/,
    ],
    [
      "a second adapter on a layer",
      (m) => {
        addLora(m, { targets: ["output"], rank: 2 });
        addHoulsby(m, { bottleneck: 2 });
      },
      /layers\.0\.selfAttention\.output has one already/,
    ],
  ];
  test.each(cases)("%s", (_, act, message) => {
    expect(() => act(new SmallModel())).toThrow(message);
  });
});

describe("on the paper's base Transformer with a joint vocabulary of 37,000", () => {
  const count = (model: Module, isCounted: (trainable: boolean) => boolean = () => true): number =>
    [...namedParameters(model).values()]
      .filter(({ trainable }) => isCounted(trainable))
      .reduce((sum, { shape }) => sum + elementCount(shape), 0);

  test("LoRA of rank 8 on queries and values trains 294,912 parameters, 0.5 % of the model and below 2 %", () => {
    const model = new Transformer({ vocabularySize: 37000 });
    addLora(model, { targets: ["query", "value"], rank: 8 });
    freezeBase(model);
    // By hand: 18 attentions, two layers each, A [512, 8] and B [8, 512].
    expect(count(model, (trainable) => trainable)).toBe(18 * 2 * 2 * 512 * 8);
    expect(count(model, (trainable) => trainable) / count(model)).toBeLessThan(0.02);
  });

  test("LoRA of rank 8 on every linear layer stays below 2 % too", () => {
    const model = new Transformer({ vocabularySize: 37000 });
    addLora(model, { targets: ["*"], rank: 8 });
    freezeBase(model);
    expect(count(model, (trainable) => trainable) / count(model)).toBeLessThan(0.02);
  });

  test("Houlsby adapters of 64 sit behind all 30 sublayers and train below 4 %", () => {
    const model = new Transformer({ vocabularySize: 37000 });
    expect(addHoulsby(model, { bottleneck: 64 })).toHaveLength(6 * 2 + 6 * 3);
    freezeBase(model);
    // By hand: [512, 64] and 64, [64, 512] and 512.
    expect(count(model, (trainable) => trainable)).toBe(30 * (2 * 512 * 64 + 64 + 512));
    expect(count(model, (trainable) => trainable) / count(model)).toBeLessThan(0.04);
  });
});
