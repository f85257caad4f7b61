// What a configuration says of models that write all places at once, and which of it goes together.
// Import this file by its own name where only the configuration is wanted: it loads no ONNX Runtime.
import { z } from "zod";
import { noGlancing } from "../models/choices/combinations.ts";
import { count } from "./stack-choices.ts";

/** Keys of the `model` section that only these models have. */
export const onePassModelKeys = {
  length: z
    .enum(["predicted", "cut-at-end", "ctc"])
    .exactOptional()
    .describe(
      "non-autoregressive: how an output gets its length; predicted. cut-at-end and ctc fill a block that is long enough.",
    ),
  decoderInput: z
    .enum(["start", "source", "masked"])
    .exactOptional()
    .describe(
      "non-autoregressive: what the decoder reads; start. source: the source, stretched; masked: learns to write in several passes.",
    ),
  upsampling: count(
    "non-autoregressive, cut-at-end and ctc: places of a block for each source token; 2.",
  ).exactOptional(),
  lengthReach: count(
    "non-autoregressive, predicted: most tokens by which source and output may differ in length; 50.",
  ).exactOptional(),
};

/** The key of the `training` section that only these models have. */
export const glancing = z
  .number()
  .min(0)
  .max(1)
  .default(0)
  .describe("non-autoregressive, not ctc: share of the tokens that a first guess misses which training then shows; 0.");

/** Keys of the `decoding` section that only these models heed. */
export const onePassDecodingKeys = {
  iterations: count(
    "non-autoregressive, masked: passes; after the first each writes the least sure tokens anew.",
  ).default(1),
  lengthCandidates: count(
    "non-autoregressive, predicted: lengths that are tried side by side; the output that is surest of itself wins.",
  ).default(1),
  lengthFactor: z
    .number()
    .positive()
    .default(1)
    .describe("non-autoregressive, predicted: asks for outputs of so many times the predicted length."),
  mergeRepeats: z
    .boolean()
    .default(false)
    .describe("non-autoregressive, not ctc: runs of one token become one; places write what their neighbours write."),
};

type OnePassModel = { readonly [Key in keyof typeof onePassModelKeys]?: z.output<(typeof onePassModelKeys)[Key]> };
type OnePassDecoding = {
  readonly [Key in keyof typeof onePassDecodingKeys]: z.output<(typeof onePassDecodingKeys)[Key]>;
};

/** One key that has no effect with the rest, and why. */
export interface Misfit {
  readonly key: string;
  readonly problem: string;
}

/** What of the model's keys does not go together. */
export function misfitOfOnePassModel(model: OnePassModel): Misfit | undefined {
  const { length = "predicted", decoderInput = "start", upsampling, lengthReach } = model;
  if (decoderInput === "masked" && length !== "predicted")
    return {
      key: "decoderInput",
      problem: `masked needs places that keep their meaning between passes: length predicted (got ${length})`,
    };
  if (length === "predicted" && upsampling !== undefined)
    return { key: "upsampling", problem: "has no effect with length predicted. Remove it" };
  if (length !== "predicted" && lengthReach !== undefined)
    return { key: "lengthReach", problem: `has no effect with length ${length}. Remove it` };
  return undefined;
}

/** Why glancing has no effect with a model, if so. */
export function misfitOfGlancing(
  { architecture, length = "predicted", decoderInput = "start" }: OnePassModel & { readonly architecture: string },
  share: number,
): Misfit | undefined {
  if (share === 0) return undefined;
  const idle =
    architecture === "non-autoregressive"
      ? noGlancing({ length, decoderInput })
      : `model.architecture ${architecture}. Remove it`;
  return idle === undefined ? undefined : { key: "training.glancing", problem: `has no effect with ${idle}` };
}

/** The model's keys with their defaults, for a configuration that says everything. */
export function completeOnePassModel({ length = "predicted", decoderInput = "start", ...options }: OnePassModel): {
  length: NonNullable<OnePassModel["length"]>;
  decoderInput: NonNullable<OnePassModel["decoderInput"]>;
  upsampling?: number;
  lengthReach?: number;
} {
  const { upsampling = 2, lengthReach = 50 } = options;
  return { length, decoderInput, ...(length === "predicted" ? { lengthReach } : { upsampling }) };
}

/** What of these models' decoding has no effect with the model. */
export function misfitOfOnePass(
  { length = "predicted", decoderInput = "start" }: OnePassModel,
  { iterations, lengthCandidates, lengthFactor, mergeRepeats }: OnePassDecoding,
): Misfit | undefined {
  if (iterations > 1 && decoderInput !== "masked")
    return {
      key: "iterations",
      problem: `has no effect with model.decoderInput ${decoderInput}: only masked learns to write in several passes`,
    };
  if (mergeRepeats && length === "ctc")
    return { key: "mergeRepeats", problem: "has no effect with model.length ctc, which makes runs one as it is read" };
  for (const [key, value] of Object.entries({ lengthCandidates, lengthFactor })) {
    if (value !== 1 && length !== "predicted")
      return { key, problem: `has no effect with model.length ${length}: only predicted lengths are chosen` };
  }
  return undefined;
}
