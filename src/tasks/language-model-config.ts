// The configurations of runs that learn from plain text: of a language model, and of a masked one.
// Import this file by its own name where only the configuration is wanted: it loads no ONNX Runtime.
import { z } from "zod";
import type { ConfigPath } from "../base/config.ts";
import { kindOf } from "../models/choices/choice.ts";
import { completionSection } from "./completion-config.ts";
import { languageModelSection, textEncoderSection } from "./single-stack-config.ts";
import { completeTokenizer, refuseNeedlessKeys, tokenizerKeys } from "./tokenizer-config.ts";
import { labelSmoothing, refuseNeedlessTraining, trainingKeys } from "./training-config.ts";

const count = (help: string, by: number): z.ZodDefault<z.ZodInt> => z.int().min(1).default(by).describe(help);

function reject(context: z.RefinementCtx, key: string, message: string): void {
  context.addIssue({ code: "custom", path: key.split("."), message });
}

const file = z.string().min(1);

const texts = z
  .strictObject({
    files: z
      .union([file, z.array(file).min(1)])
      .describe("A text file, or several, one after the other; each may be .gz."),
    format: z
      .enum(["lines", "file"])
      .default("lines")
      .describe("What a document is, behind which an end is expected: a line that is not empty, or a whole file."),
    maxCharacters: z
      .int()
      .min(1)
      .exactOptional()
      .describe("Read no more than this many characters; all of them if not said."),
    checksums: z
      .array(z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits"))
      .min(1)
      .exactOptional()
      .describe("SHA-256 of each of `files`; a file that differs is refused."),
  })
  .superRefine(({ files, checksums }, context) => {
    const given = [files].flat().length;
    if (checksums !== undefined && checksums.length !== given)
      reject(context, "checksums", `must be one for each file (got ${checksums.length} for ${given})`);
  });

/** The text of one split. */
export type TextsConfig = z.output<typeof texts>;

const data = z
  .strictObject({
    train: texts.describe("Text to learn from."),
    validation: texts.exactOptional().describe("Text to watch training by: loss, perplexity, bits per byte."),
    test: texts.exactOptional().describe("Text for the result; training never reads it."),
  })
  .describe("Plain text: data.train.files at least.");

const tokenizer = z.strictObject(tokenizerKeys).superRefine(refuseNeedlessKeys).transform(completeTokenizer);

const contextTokens = count("Tokens of a row: as far as the model sees while it learns.", 256);
const batchTokens = count("Tokens of one batch, in rows of contextTokens.", 4096);

const languageModelTraining = z
  .strictObject({ ...trainingKeys, labelSmoothing, contextTokens, batchTokens })
  .superRefine(refuseNeedlessTraining);

const maskedTraining = z
  .strictObject({
    ...trainingKeys,
    contextTokens,
    batchTokens,
    maskRate: z.number().gt(0).lt(1).default(0.15).describe("Share of tokens that the model is asked for."),
  })
  .superRefine(refuseNeedlessTraining);

const scoring = z.strictObject({
  contextTokens: z
    .int()
    .min(2)
    .exactOptional()
    .describe("Tokens of a window in which text is scored; training.contextTokens if not said."),
  overlapTokens: z
    .int()
    .min(0)
    .default(0)
    .describe("Tokens that a window shares with the one before, read and not counted again: more context, more time."),
});

/** Refuses what rows of text and their model cannot agree on. */
function refuseUnfit(
  config: {
    model: { positions: Parameters<typeof kindOf>[0]; maxPositions: number };
    data: z.output<typeof data>;
    training: { contextTokens: number; batchTokens: number; patience?: number | undefined };
    scoring?: z.output<typeof scoring>;
  },
  context: z.RefinementCtx,
): void {
  const { model, data, training, scoring } = config;
  if (data.validation === undefined && training.patience !== undefined)
    reject(context, "training.patience", "needs data.validation to watch");
  if (training.batchTokens < training.contextTokens)
    reject(
      context,
      "training.batchTokens",
      `must hold a row of training.contextTokens (got ${training.batchTokens} and ${training.contextTokens})`,
    );
  const isTable = ["learned", "sinusoidal"].includes(kindOf(model.positions));
  for (const [key, tokens] of Object.entries({
    "training.contextTokens": training.contextTokens,
    "scoring.contextTokens": scoring?.contextTokens ?? 0,
  })) {
    if (isTable && tokens > model.maxPositions)
      reject(context, key, `must not exceed model.maxPositions (got ${tokens} and ${model.maxPositions})`);
  }
  if (scoring !== undefined && scoring.overlapTokens >= (scoring.contextTokens ?? training.contextTokens))
    reject(context, "scoring.overlapTokens", `must be below the window's contextTokens (got ${scoring.overlapTokens})`);
}

const taskHelp = "What the model is to learn; translation if not said.";

/** Every key of a language model's configuration. */
export const languageModelConfig = z
  .strictObject({
    task: z.literal("language-model").describe(taskHelp),
    model: languageModelSection.prefault({}),
    tokenizer: tokenizer.prefault({}),
    data,
    training: languageModelTraining.prefault({}),
    decoding: completionSection.prefault({}),
    scoring: scoring.prefault({}),
  })
  .superRefine(refuseUnfit);

/** Every key of a masked language model's configuration. */
export const maskedLanguageModelConfig = z
  .strictObject({
    task: z.literal("masked-language-model").describe(taskHelp),
    model: textEncoderSection.prefault({}),
    tokenizer: tokenizer.prefault({}),
    data,
    training: maskedTraining.prefault({}),
    decoding: z
      .strictObject({ candidates: count("Tokens to name for each mask, the likeliest first.", 5) })
      .prefault({}),
  })
  .superRefine(refuseUnfit);

export type LanguageModelConfig = z.output<typeof languageModelConfig>;
export type MaskedLanguageModelConfig = z.output<typeof maskedLanguageModelConfig>;

/** The configuration with every file path of it put through `resolve`, which also learns the key that names the path. */
export function mapTextPaths<Config extends LanguageModelConfig | MaskedLanguageModelConfig>(
  config: Config,
  resolve: (path: string, key: ConfigPath) => string,
): Config {
  const { tokenizer, data } = config;
  const mapTexts = (split: TextsConfig, name: string): TextsConfig => ({
    ...split,
    files: [split.files].flat().map((path, i) => resolve(path, ["data", name, "files", i])),
  });
  const splits = Object.entries(data).map(([name, split]) => [name, mapTexts(split, name)] as const);
  return {
    ...config,
    tokenizer: {
      ...tokenizer,
      ...(tokenizer.path !== undefined && { path: resolve(tokenizer.path, ["tokenizer", "path"]) }),
    },
    data: Object.fromEntries(splits),
  };
}
