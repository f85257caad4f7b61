import { describe, expect, test } from "vitest";
import { z } from "zod";
import { configJsonSchema, describeConfig, parseConfig } from "../../src/base/config.ts";
import { ConfigError, nearest } from "../../src/base/index.ts";

const schema = z.strictObject({
  model: z
    .strictObject({
      dModel: z.int().min(1).default(256).describe("Width."),
      heads: z.int().min(1).default(4).describe("Heads."),
      norm: z.enum(["post", "pre"]).default("post"),
      dropout: z.number().min(0).lt(1).default(0.1),
      betas: z.tuple([z.number().lt(1), z.number().lt(1)]).optional(),
    })
    .superRefine(({ dModel, heads }, context) => {
      if (dModel % heads !== 0)
        context.addIssue({
          code: "custom",
          path: ["heads"],
          message: `must divide dModel (got ${heads} and ${dModel})`,
        });
    })
    .prefault({}),
  training: z.strictObject({ steps: z.int().min(1).default(10), seed: z.int().default(1) }).prefault({}),
  source: z.string().default("train.en"),
  name: z.string().describe("What to call the run."),
});

function problemWith(value: unknown): string {
  try {
    parseConfig(schema, value, { place: "en-de.yaml" });
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("no problem was found");
}

test("a configuration that says only what it must gets every default, in the schema's order", () => {
  expect(JSON.stringify(parseConfig(schema, { training: { seed: 3 }, name: "a" }))).toBe(
    '{"model":{"dModel":256,"heads":4,"norm":"post","dropout":0.1},"training":{"steps":10,"seed":3},"source":"train.en","name":"a"}',
  );
});

describe("a problem is told by key, want and value", () => {
  const cases: [unknown, string][] = [
    [{ model: { heads: 7, dModel: 512 } }, "model.heads must divide dModel (got 7 and 512)"],
    [{ model: { heads: "many" } }, 'model.heads must be a whole number ≥ 1 (got "many").'],
    [{ model: { heads: 2.5 } }, "model.heads must be a whole number ≥ 1 (got 2.5)."],
    [{ model: { heads: 0 } }, "model.heads must be a whole number ≥ 1 (got 0)."],
    [{ model: { heads: null } }, "model.heads must be a whole number ≥ 1 (got null)."],
    [{ model: { dropout: 1 } }, "model.dropout must be a number ≥ 0, below 1 (got 1)."],
    [{ model: { norm: "Pre" } }, 'model.norm must be post or pre (got "Pre"). Did you mean pre?'],
    [{ model: { norm: "rms" } }, 'model.norm must be post or pre (got "rms").'],
    [{ model: { betas: [0.9, 2] } }, "model.betas.1 must be a number below 1 (got 2)."],
    [{ model: 3 }, "model must be a section of keys (got 3)."],
    [{ model: { d_model: 512 } }, "unknown key model.d_model. Did you mean model.dModel?"],
    [{ model: { steps: 5 } }, "unknown key model.steps. It belongs at training.steps."],
    [{ training: { colour: 5 } }, "unknown key training.colour. Known here: steps, seed."],
    [{ soruce: "x" }, "unknown key soruce. Did you mean source?"],
  ];
  test.each(cases)("%j", (value, expected) => {
    expect(problemWith({ name: "a", ...(value as object) })).toBe(`en-de.yaml: ${expected}`);
  });

  test("a missing key is told with its help line", () => {
    expect(problemWith({})).toBe("en-de.yaml: name is missing. What to call the run.");
  });

  test("all problems come in one text, one a line, each with its place", () => {
    expect(problemWith({ name: "a", model: { heads: 0, dmodel: 8 }, training: { steps: -1 } }).split("\n")).toEqual([
      "en-de.yaml: model.heads must be a whole number ≥ 1 (got 0).",
      "en-de.yaml: unknown key model.dmodel. Did you mean model.dModel?",
      "en-de.yaml: training.steps must be a whole number ≥ 1 (got -1).",
    ]);
  });
});

test("the nearest word forgives case, hyphens, swaps and a third of its letters, and no more", () => {
  const known = ["dModel", "dropout", "labelSmoothing", "steps"];
  expect(nearest("d_model", known)).toBe("dModel");
  expect(nearest("LABEL-SMOOTHING", known)).toBe("labelSmoothing");
  expect(nearest("setps", known)).toBe("steps");
  expect(nearest("labelSmothng", known)).toBe("labelSmoothing");
  expect(nearest("temperature", known)).toBeUndefined();
  expect(nearest("x", known)).toBeUndefined();
});

test("every option is described once with its type, default and help", () => {
  const options = describeConfig(schema);
  expect(options.map(({ path }) => path)).toEqual([
    "model.dModel",
    "model.heads",
    "model.norm",
    "model.dropout",
    "model.betas",
    "training.steps",
    "training.seed",
    "source",
    "name",
  ]);
  expect(options[0]).toEqual({
    path: "model.dModel",
    type: "whole number ≥ 1",
    default: 256,
    isRequired: false,
    help: "Width.",
  });
  expect(options[4]?.type).toBe("list of 2: number below 1, number below 1");
  expect(options.at(-1)).toEqual({
    path: "name",
    type: "text",
    default: undefined,
    isRequired: true,
    help: "What to call the run.",
  });
});

test("the JSON Schema lets a file leave out what has a default, and refuses unknown keys", () => {
  expect(configJsonSchema(schema)).toMatchObject({ required: ["name"], additionalProperties: false });
});
