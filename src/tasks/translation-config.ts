// The configuration of a translation run: every key a recipe may hold, with its type, default, check and help line.
// Import this file by its own name where only the configuration is wanted: it loads no ONNX Runtime.
import { z } from "zod";
import { type ConfigPath, configJsonSchema } from "../base/config.ts";
import { sparePlaces } from "../models/block-places.ts";
import { decodingSection } from "./decoding-config.ts";
import { heededInOnePass } from "./decoding-options.ts";
import { modelConfig, type ModelConfig } from "./model-config.ts";
import {
  glancing,
  misfitOfGlancing,
  misfitOfOnePass,
  onePassDecodingKeys,
  type Misfit,
} from "./non-autoregressive-config.ts";
import { completeTokenizer, refuseNeedlessKeys, tokenizerKeys } from "./tokenizer-config.ts";
import { labelSmoothing, refuseNeedlessTraining, trainingKeys } from "./training-config.ts";

const count = (help: string, by = 1): z.ZodDefault<z.ZodInt> => z.int().min(1).default(by).describe(help);

/** Adds a problem at a key of the section; the text goes on from the key's full name. */
function reject(context: z.RefinementCtx, key: string, text: string): void {
  context.addIssue({ code: "custom", path: key.split("."), message: text });
}

const tokenizer = z
  .strictObject({
    ...tokenizerKeys,
    joint: z.boolean().default(true).describe("One vocabulary for source and target."),
    dropout: z.number().min(0).lt(1).optional().describe("bpe: chance to skip a merge while training. 0."),
  })
  .superRefine(refuseNeedlessKeys)
  .transform(({ dropout, ...options }) => ({
    ...completeTokenizer(options),
    ...(options.type === "bpe" && { dropout: dropout ?? 0 }),
  }));

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits");

const side = z.union([z.string().min(1), z.int().min(0)]);

const split = z
  .strictObject({
    format: z
      .enum(["parallel", "tsv", "jsonl"])
      .default("parallel")
      .describe("Two files line by line, or one file of columns or of JSON objects; each may be .gz."),
    file: z.string().min(1).optional().describe("The one file of tsv or jsonl."),
    source: side.describe("The source side: a file; of tsv a column, by name or number from 0; of jsonl a field."),
    target: side.describe("The target side, as the source."),
    checksums: z
      .strictObject({
        file: sha256.optional().describe("SHA-256 of `file`."),
        source: sha256.optional().describe("SHA-256 of the source file."),
        target: sha256.optional().describe("SHA-256 of the target file."),
      })
      .optional()
      .describe("What the files must be; one that differs is refused."),
  })
  .superRefine(({ format, file, source, target, checksums }, context) => {
    for (const [key, value] of Object.entries({ source, target })) {
      if (format !== "tsv" && typeof value === "number")
        reject(context, key, `must be text with format ${format} (got ${value})`);
    }
    if (format === "parallel" && file !== undefined)
      reject(context, "file", "has no effect with format parallel. Set format to tsv or jsonl");
    if (format !== "parallel" && file === undefined)
      reject(context, "file", `is missing: format ${format} reads one file`);
    for (const side of ["file", "source", "target"] as const) {
      const isFile = (side === "file") === (format !== "parallel");
      if (checksums?.[side] !== undefined && !isFile)
        reject(context, `checksums.${side}`, `has no effect with format ${format}. Remove it`);
    }
  });

/** One corpus of the configuration's data section. */
export type SplitConfig = z.output<typeof split>;

/** Pairs in files. */
export interface FileData {
  readonly train: SplitConfig;
  readonly validation?: SplitConfig;
  readonly test?: SplitConfig;
}

const generatedKeys = ["seed", "trainPairs", "validationPairs", "testPairs"] as const;

/** Pairs made on the spot. */
export type GeneratedData = { readonly generator: "dates" } & Readonly<Record<(typeof generatedKeys)[number], number>>;

export type DataConfig = FileData | GeneratedData;

const data = z
  .strictObject({
    train: split.optional().describe("Pairs to learn from: source and target."),
    validation: split.optional().describe("Pairs to watch training by: loss, perplexity, BLEU."),
    test: split.optional().describe("Pairs for the result; training never reads them."),
    generator: z.enum(["dates"]).optional().describe("Makes the pairs on the spot, in place of the files above."),
    seed: z.int().min(0).optional().describe("generator: same seed, same pairs. 1."),
    trainPairs: z.int().min(1).optional().describe("generator: pairs to learn from. 100,000."),
    validationPairs: z.int().min(1).optional().describe("generator: pairs to watch training by. 1,000."),
    testPairs: z.int().min(1).optional().describe("generator: pairs for the result. 2,000."),
  })
  .superRefine(({ generator, ...options }, context) => {
    const needless = generator === undefined ? generatedKeys : (["train", "validation", "test"] as const);
    for (const key of needless) {
      if (options[key] === undefined) continue;
      reject(
        context,
        key,
        `has no effect ${generator === undefined ? "without" : "with"} data.generator. Remove one of them`,
      );
    }
    if (generator === undefined && options.train === undefined) {
      reject(context, "train", "is missing: the source and the target of the pairs to learn from");
    }
  })
  // Files or a generator: from here on the type says which.
  .transform(({ train, validation, test, generator, ...options }): DataConfig => {
    if (generator === undefined) {
      // The check above has refused data without a training side.
      return { train: train as SplitConfig, ...(validation && { validation }), ...(test && { test }) };
    }
    const { seed = 1, trainPairs = 100_000, validationPairs = 1000, testPairs = 2000 } = options;
    return { generator, seed, trainPairs, validationPairs, testPairs };
  })
  .describe("The pairs of text: data.train.source and data.train.target at least, or data.generator.");

const training = z
  .strictObject({
    ...trainingKeys,
    labelSmoothing,
    glancing,
    batchTokens: count("Most tokens of one batch on its longer side, padding included.", 4096),
    maxSourceTokens: count("Longer pairs are left out of training, and counted.", 256),
    maxTargetTokens: count("Longer pairs are left out of training, and counted.", 256),
  })
  .superRefine(refuseNeedlessTraining);

/** What of the decoding has no effect with the model. */
function misfitOfDecoding(model: ModelConfig, chosen: z.output<typeof decodingSection>): Misfit | undefined {
  const inSection = (misfit: Misfit | undefined): Misfit | undefined =>
    misfit && { ...misfit, key: `decoding.${misfit.key}` };
  const defaults: Readonly<Record<string, unknown>> = decodingSection.parse({});
  const isOnePass = model.architecture === "non-autoregressive";
  for (const [key, value] of Object.entries(chosen)) {
    const isHeeded = isOnePass ? heededInOnePass.includes(key) : !(key in onePassDecodingKeys);
    if (!isHeeded && JSON.stringify(value) !== JSON.stringify(defaults[key]))
      return inSection({ key, problem: `has no effect with model.architecture ${model.architecture}. Remove it` });
  }
  const { nbest, lengthCandidates } = chosen;
  if (isOnePass && nbest > lengthCandidates)
    return inSection({
      key: "nbest",
      problem: `must not exceed lengthCandidates (got ${nbest} and ${lengthCandidates})`,
    });
  return isOnePass ? inSection(misfitOfOnePass(model, chosen)) : undefined;
}

/** What of training does not go with blocks that are as many times as long as the source. */
function misfitOfBlock(
  { architecture, length, upsampling = 1, maxPositions }: ModelConfig,
  { maxSourceTokens, labelSmoothing }: z.output<typeof training>,
): Misfit | undefined {
  if (architecture !== "non-autoregressive" || length === "predicted") return undefined;
  if (length === "ctc" && labelSmoothing > 0)
    return { key: "training.labelSmoothing", problem: "has no effect with model.length ctc. Set it to 0" };
  const most = upsampling * maxSourceTokens + sparePlaces;
  if (most <= maxPositions) return undefined;
  return {
    key: "training.maxSourceTokens",
    problem: `needs blocks of ${most} places, and model.maxPositions is ${maxPositions}. Lower it to ${Math.floor((maxPositions - sparePlaces) / upsampling)}`,
  };
}

const scoring = z.strictObject({
  tokenize: z
    .enum(["none", "13a", "intl", "char", "zh"])
    .default("13a")
    .describe("How BLEU parts text into words; none for text that is tokenised already."),
  lowercase: z.boolean().default(false).describe("Score without regard to case."),
});

/** Every key of a translation run's configuration. Read a file with `readConfig(translationConfig, text, …)`. */
export const translationConfig = z
  .strictObject({
    task: z.literal("translation").default("translation").describe("What the model is to learn; translation."),
    model: modelConfig.prefault({}),
    tokenizer: tokenizer.prefault({}),
    data,
    training: training.prefault({}),
    decoding: decodingSection.prefault({}),
    scoring: scoring.prefault({}),
  })
  .superRefine(({ model, tokenizer, data, training, decoding }, context) => {
    const misfit =
      misfitOfDecoding(model, decoding) ?? misfitOfBlock(model, training) ?? misfitOfGlancing(model, training.glancing);
    if (misfit !== undefined) reject(context, misfit.key, misfit.problem);
    if (model.tying === "three-way" && !tokenizer.joint)
      reject(context, "model.tying", "three-way needs tokenizer.joint true. Use two-way, or one vocabulary");
    if (!("generator" in data) && data.validation === undefined && training.patience !== undefined)
      reject(context, "training.patience", "needs data.validation to watch");
  });

/** A complete configuration: every default filled in. */
export type TranslationConfig = z.output<typeof translationConfig>;

/** What a recipe has to say: everything with a default may be left out. */
export type TranslationConfigInput = z.input<typeof translationConfig>;

/**
 * The schema of the file for editors, which then complete and check a recipe.
 *
 * @example
 * await writeFile("translation.schema.json", JSON.stringify(translationJsonSchema(), undefined, 2));
 */
export function translationJsonSchema(): object {
  return configJsonSchema(translationConfig);
}

/**
 * The configuration with every file path of it put through `resolve`, which also learns the key that names the path.
 *
 * @example
 * const here = mapPaths(config, (path) => `data/${path}`);
 */
export function mapPaths(
  config: TranslationConfig,
  resolve: (path: string, key: ConfigPath) => string,
): TranslationConfig {
  const mapSplit = (split: SplitConfig, name: string): SplitConfig => {
    const keys = split.format === "parallel" ? (["source", "target"] as const) : (["file"] as const);
    const paths = keys.map((key) => [key, resolve(String(split[key]), ["data", name, key])]);
    return { ...split, ...Object.fromEntries(paths) };
  };
  const path = config.tokenizer.path;
  const tokenizer = { ...config.tokenizer, ...(path && { path: resolve(path, ["tokenizer", "path"]) }) };
  const { embeddings } = config.model;
  const vectors = (["source", "target"] as const).flatMap((side) => {
    const file = embeddings?.[side];
    return file === undefined ? [] : [[side, resolve(file, ["model", "embeddings", side])] as const];
  });
  const model = {
    ...config.model,
    ...(embeddings && { embeddings: { ...embeddings, ...Object.fromEntries(vectors) } }),
  };
  if ("generator" in config.data) return { ...config, model, tokenizer };
  const { train, validation, test } = config.data;
  const data = {
    train: mapSplit(train, "train"),
    ...(validation && { validation: mapSplit(validation, "validation") }),
    ...(test && { test: mapSplit(test, "test") }),
  };
  return { ...config, model, tokenizer, data };
}
