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
}

/** For commander: an option that is a count. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || text.trim() === "")
    throw new InvalidArgumentError("a whole number is wanted.");
  return value;
}

function decimal(text: string): number {
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
    .option("--batch-tokens <n>", "most tokens of one batch of sources, padding included", wholeNumber);
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
}: DecodingFlags): DecodingOptions {
  const said = Object.entries({ beams, lengthPenalty, minLength, maxLength, batchTokens }).filter(
    ([, value]) => value !== undefined,
  );
  return Object.fromEntries(said);
}
