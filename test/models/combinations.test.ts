// What excludes what: the rules, their words, and the table of the docs, which is made of them.
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/base/index.ts";
import {
  exclusions,
  isPossible,
  LanguageModel,
  mixerKinds,
  positionKinds,
  TextEncoder,
  Transformer,
  type ChosenInStack,
  type TransformerOptions,
} from "../../src/models/index.ts";

const plain: ChosenInStack = {
  attention: "full",
  positions: "sinusoidal",
  normKind: "layer",
  positionJoin: "add",
  sharesKeys: false,
  dropsWeights: false,
};

/** For each mixer and each kind of positions: in both stacks, in one of them, or in none. */
function combinationTable(): string {
  const cell = (attention: string, positions: string): string => {
    const [encoder, decoder] = (["encoder", "decoder"] as const).map((stack) =>
      isPossible(stack, { ...plain, attention, positions }),
    );
    return encoder ? (decoder ? "both" : "encoder") : decoder ? "decoder" : "–";
  };
  const head = ["attention \\ positions", ...positionKinds.map((kind) => `\`${kind}\``)];
  const rows = mixerKinds.map((mixer) => [`\`${mixer}\``, ...positionKinds.map((kind) => cell(mixer, kind))]);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const page = "docs/parts/README.md";

test("the docs' table of combinations is what the rules say; HEDDLE_UPDATE=1 writes it", () => {
  const text = readFileSync(page, "utf8");
  const written = /<!-- combinations -->\n([^]*?)\n<!-- \/combinations -->/;
  if (process.env.HEDDLE_UPDATE === "1") {
    writeFileSync(page, text.replace(written, `<!-- combinations -->\n${combinationTable()}\n<!-- /combinations -->`));
  }
  expect(written.exec(readFileSync(page, "utf8"))?.[1]).toBe(combinationTable());
});

test("the docs give every reason for which a combination is refused", () => {
  const text = readFileSync(page, "utf8").replaceAll(/\s+/g, " ");
  for (const { reason } of exclusions) expect(text).toContain(reason);
});

describe("what cannot be had is refused where the model is made, with key, reason and remedy", () => {
  const sizes = { vocabularySize: 11, dModel: 16, heads: 2, layers: 1 };
  const cases: [TransformerOptions, string][] = [
    [
      { ...sizes, positions: "xpos" },
      "model.positions: does not go with the rest: in the encoder, xPos shrinks scores with the distance back; towards later positions they would grow without bound (got attention full, positions xpos, norm layer). Take rotary in the encoder: {encoder: rotary, decoder: xpos}.",
    ],
    [
      { ...sizes, normKind: "batch" },
      "model.normKind: does not go with the rest: in the decoder, the means of a batch norm run over all positions",
    ],
    [
      { ...sizes, attention: "mamba" },
      "model.attention: does not go with the rest: in the encoder, it only looks back",
    ],
    [
      { ...sizes, attention: "linear", positions: { kind: "relative" } },
      "model.positions: does not go with the rest: in the encoder, these positions are a bias on attention scores",
    ],
    [
      { ...sizes, attention: { encoder: "full", decoder: "retention" }, positions: "rotary" },
      "model.positions: does not go with the rest: in the decoder, these positions turn queries against keys",
    ],
    [{ ...sizes, attention: "linear", keyValueHeads: 1 }, "model.keyValueHeads: does not go with the rest"],
    [{ ...sizes, attention: "tiled", attentionDropout: 0.1 }, "model.attentionDropout: does not go with the rest"],
    [{ ...sizes, positions: "rotary", positionJoin: "concatenate" }, "model.positionJoin: does not go with the rest"],
  ];
  test.each(cases)("%j", (options, message) => {
    expect(() => new Transformer(options)).toThrow(ConfigError);
    expect(() => new Transformer(options)).toThrow(message);
  });

  test("one stack alone is held to its own rules", () => {
    expect(() => new LanguageModel({ ...sizes, positions: "xpos", attention: "full" })).not.toThrow();
    expect(() => new LanguageModel({ ...sizes, normKind: "batch" })).toThrow("in the decoder");
    expect(() => new TextEncoder({ ...sizes, normKind: "batch" })).not.toThrow();
    expect(() => new TextEncoder({ ...sizes, attention: "causal-blocks" })).toThrow("in the encoder");
  });

  test("an unknown option is refused, with the nearest that there is", () => {
    const given = (extra: object) => ({ ...sizes, ...extra }) as TransformerOptions;
    expect(() => new Transformer(given({ positons: "rotary" }))).toThrow(
      "model.positons: there is no such option. Did you mean positions?",
    );
    expect(() => new Transformer(given({ activation: "gelu" }))).toThrow("model.activation: there is no such option");
    const single = { vocabularySize: 11, dModel: 16, heads: 2, layers: 1 };
    const [memory, tieing]: object[] = [{ memory: "last" }, { tieing: true }];
    expect(() => new LanguageModel({ ...single, ...memory })).toThrow("model.memory: there is no such option");
    expect(() => new TextEncoder({ ...single, ...tieing })).toThrow("model.tieing: there is no such option");
  });

  test("an unknown kind names those that are known", () => {
    // What TypeScript would refuse, from a program in JavaScript.
    const options = { ...sizes, positions: "rotory" } as unknown as TransformerOptions;
    expect(() => new Transformer(options)).toThrow(
      'model.positions: "rotory" is not known; none, sinusoidal, learned, rotary, xpos, alibi, relative are.',
    );
  });
});
