// The options that generate and evaluate share: which model, and how it searches.
import { type Command, InvalidArgumentError } from "commander";
import type { DecodingOptions, OpenTranslationOptions } from "../../tasks/index.node.ts";

export interface DecodingFlags {
  model: string;
  checkpoint?: string;
  adapter?: string;
  int8?: boolean;
  beams?: number;
  lengthPenalty?: number;
  minLength?: number;
  maxLength?: number;
  batchTokens?: number;
  iterations?: number;
  lengthCandidates?: number;
  lengthFactor?: number;
}

/** For commander: an option that is a count. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || text.trim() === "")
    throw new InvalidArgumentError("a whole number is wanted.");
  return value;
}

/** For commander: an option that is a number. */
export function decimal(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || text.trim() === "") throw new InvalidArgumentError("a number is wanted.");
  return value;
}

/** Adds the options; those not given take the run's own configuration. */
export function withDecodingOptions(command: Command): Command {
  return command
    .requiredOption("--model <folder>", "the folder of a run")
    .option("--checkpoint <path>", "another checkpoint's folder or .safetensors file than the run's own choice")
    .option("--adapter <folder>", "an adapter to put on the model, as heddle adapter save writes it")
    .option("--int8", "decode in whole numbers of 8 bits: faster, a little less exact")
    .option("--beams <n>", "hypotheses kept at a time; 1 is greedy search", wholeNumber)
    .option("--length-penalty <x>", "exponent of the length that scores are divided by", decimal)
    .option("--min-length <n>", "fewest target tokens, END included", wholeNumber)
    .option("--max-length <n>", "most target tokens, END included", wholeNumber)
    .option("--batch-tokens <n>", "most tokens of one batch of sources, padding included", wholeNumber)
    .option("--iterations <n>", "passes of a model that writes all places at once", wholeNumber)
    .option("--length-candidates <n>", "lengths that such a model tries side by side", wholeNumber)
    .option("--length-factor <x>", "ask such a model for so many times the predicted length", decimal);
}

/** Which weights were asked for, and how exactly. */
export function weightsOf({
  checkpoint,
  adapter,
  int8,
}: DecodingFlags): Pick<OpenTranslationOptions, "checkpoint" | "adapter" | "precision"> {
  return {
    ...(checkpoint !== undefined && { checkpoint }),
    ...(adapter !== undefined && { adapter }),
    ...(int8 === true && { precision: "int8" }),
  };
}

/** What was said of the search, without what was not. */
export function decodingOf({
  beams,
  lengthPenalty,
  minLength,
  maxLength,
  batchTokens,
  iterations,
  lengthCandidates,
  lengthFactor,
}: DecodingFlags): DecodingOptions {
  const all = { beams, lengthPenalty, minLength, maxLength, batchTokens, iterations, lengthCandidates, lengthFactor };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
