import { describe, expect, test } from "vitest";
import { z } from "zod";
import { readConfig, writeConfig } from "../../src/base/config-text.ts";
import { ConfigError } from "../../src/base/index.ts";

const schema = z.strictObject({
  model: z
    .strictObject({
      heads: z.int().default(4).describe("Attention heads."),
      betas: z
        .tuple([z.number().lt(1), z.number().lt(1)])
        .default([0.9, 0.98])
        .describe("Decay."),
      norm: z.enum(["post", "pre"]).default("post"),
    })
    .prefault({}),
  name: z.string().default("run # 1").describe("What to call it."),
  clip: z.number().optional().describe("Largest norm."),
});

function read(text: string, set: string[] = []): z.output<typeof schema> {
  return readConfig(schema, text, { place: "en-de.yaml", set }).config;
}

function problemWith(text: string, set: string[] = []): string {
  try {
    read(text, set);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("no problem was found");
}

describe("an error names line and column of the key", () => {
  const cases: [text: string, expected: string][] = [
    ["model:\n  heads: 1.5\n", "en-de.yaml:2:3: model.heads must be a whole number (got 1.5)."],
    ["# first\n\nmodel: { norm: post, heads: x }\n", 'en-de.yaml:3:22: model.heads must be a whole number (got "x").'],
    ["model:\n  betas:\n    - 0.9\n    - 3\n", "en-de.yaml:4:7: model.betas.1 must be a number below 1 (got 3)."],
    ["model:\n  head: 3\n", "en-de.yaml:2:3: unknown key model.head. Did you mean model.heads?"],
    ["model:\n", "en-de.yaml:1:1: model must be a section of keys (got null)."],
    ["model: { heads: 3, heads: 4 }", "en-de.yaml:1:20: not valid YAML: Map keys must be unique"],
    ["- a\n- b\n", "en-de.yaml: must hold keys and values, for example model: { heads: 4 }"],
  ];
  test.each(cases)("%j", (text, expected) => {
    expect(problemWith(text)).toBe(expected);
  });
});

describe("an override", () => {
  test("wins over the text, reaches keys the text does not have, and reads its value as YAML", () => {
    const config = read("model:\n  heads: 2\n", ["model.heads=8", "model.betas=[0.5, 0.6]", "name=a=b", "clip=1e-3"]);
    expect(config).toEqual({ model: { heads: 8, betas: [0.5, 0.6], norm: "post" }, name: "a=b", clip: 0.001 });
  });

  test("works on an empty text, and the last of two wins", () => {
    expect(read("", ["model.heads=8", "model.heads=9"]).model.heads).toBe(9);
  });

  const mistakes: [set: string, expected: string][] = [
    ["model.heads=many", '--set model.heads=many: model.heads must be a whole number (got "many").'],
    ["model.haeds=8", "--set model.haeds=8: unknown key model.haeds. Did you mean model.heads?"],
    ["model.heads", "--set model.heads: must read key=value, for example --set training.steps=1000"],
    ["=3", "--set =3: must read key=value, for example --set training.steps=1000"],
    ["name.x=3", "--set name.x=3: name holds a value, not keys"],
    ["modle.heads=8", "--set modle.heads=8: unknown key modle. Did you mean model?"],
    ["__proto__.heads=3", "--set __proto__.heads=3: unknown key __proto__. Known here: model, name, clip."],
  ];
  test.each(mistakes)("%s is refused under its own name", (set, expected) => {
    expect(problemWith("name: x\n", [set])).toBe(expected);
  });
});

test("the written configuration spells out every default, explains each key, and reads back equal", () => {
  const config = read("model: { heads: 8 }");
  const text = writeConfig(schema, config, { title: "Written by Heddle." });
  expect(text).toBe(
    [
      "# Written by Heddle.",
      "",
      "model:",
      "  heads: 8 # Attention heads.",
      "  betas: [ 0.9, 0.98 ] # Decay.",
      "  norm: post",
      'name: "run # 1" # What to call it.',
      "",
    ].join("\n"),
  );
  expect(read(text)).toEqual(config);
});
