// The options that generate, evaluate, distill and bench share: which models, and how they search. The flags of decoding are made of
// its configuration section, so that an option is described once.
import { type Command, InvalidArgumentError, Option } from "commander";
import type { z } from "zod";
import { type ConfigOption, describeConfig } from "../../base/config.ts";
import { ConfigError, type Listener } from "../../base/index.ts";
import {
  openTranslation,
  openTranslationPool,
  type DecodingChoices,
  type DecodingOptions,
  type OpenTranslationOptions,
  type Translation,
} from "../../tasks/index.node.ts";
import type { completionKeys } from "../../tasks/completion-config.ts";
import { decodingSection } from "../../tasks/decoding-config.ts";

export interface DecodingFlags extends Partial<DecodingChoices> {
  model: string;
  checkpoint?: string;
  adapter?: string;
  int8?: boolean;
  ensemble?: string[];
  replicas?: number;
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

/** What flags mean besides, on runs of other tasks. */
const elsewhere: Partial<Record<keyof DecodingChoices, string>> = {
  temperature: "language models: 0 draws nothing",
  search: "language models draw if not said",
  maxLength: "language models: 200 if not said",
  candidates: "masked language models, with --json: tokens to name for each mask",
};

export interface SharedOptions {
  /** Keys of decoding that the command has no use for. */
  except?: readonly (keyof DecodingChoices)[];
}

/** Adds the options; those not given take the run's own configuration. */
export function withDecodingOptions(command: Command, { except = [] }: SharedOptions = {}): Command {
  command
    .requiredOption("--model <folder>", "the folder of a run")
    .option("--checkpoint <path>", "another checkpoint's folder or .safetensors file than the run's own choice")
    .option("--adapter <folder>", "an adapter to put on the model, as heddle adapter save writes it")
    .option("--ensemble <path...>", "take the mean with these: folders of runs, or checkpoints of this run")
    .option("--int8", "decode in whole numbers of 8 bits: faster, a little less exact")
    .option(
      "--replicas <n>",
      "share lines out among so many copies of one thread each: with a small model, one for each processor core is fastest",
      wholeNumber,
    );
  for (const option of describeConfig(decodingSection))
    if (!(except as readonly string[]).includes(option.path)) command.addOption(flagOf(option));
  return command;
}

function flagOf({ path, type, help }: ConfigOption): Option {
  const more = elsewhere[path as keyof DecodingChoices];
  const text = help.charAt(0).toLowerCase() + help.slice(1).replace(/\.$/, "");
  const description = more === undefined ? text : `${text}; ${more}`;
  const flag = flagName(path);
  if (type === "true | false")
    return new Option(`${flag} [boolean]`, description).choices(["true", "false"]).preset("true");
  if (type.startsWith("list")) return new Option(`${flag} <text...>`, description);
  if (type.startsWith("whole number")) return new Option(`${flag} <n>`, description).argParser(wholeNumber);
  if (type.startsWith("number")) return new Option(`${flag} <x>`, description).argParser(decimal);
  return new Option(`${flag} <name>`, description).choices(type.split(" | "));
}

function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
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

/** What was said of the search, checked, without what was not said. */
export function decodingOf(flags: DecodingFlags): DecodingOptions {
  return saidOf(decodingSection, flags);
}

/** The same of a section with other keys. */
export function saidOf(
  section: typeof decodingSection | typeof completionKeys,
  flags: object,
): Record<string, unknown> {
  const said: [string, unknown][] = [];
  const [given, checks] = [new Map(Object.entries(flags)), new Map<string, z.ZodType>(Object.entries(section.shape))];
  for (const { path, type } of describeConfig(section)) {
    const asked: unknown = given.get(path);
    if (asked === undefined) continue;
    // Of a choice commander knows the names alone.
    const value = asked === "true" ? true : asked === "false" ? false : asked;
    if (checks.get(path)?.safeParse(value).success !== true)
      throw new ConfigError(flagName(path), `must be a ${type} (got ${JSON.stringify(value)}).`);
    said.push([path, value]);
  }
  return Object.fromEntries(said);
}

/** The translation of a run, with the others of its ensemble, or several copies of it. */
export async function openEnsemble(
  flags: DecodingFlags,
  decoding: DecodingOptions,
  listener: Listener,
): Promise<Translation> {
  const { model, ensemble, replicas = 1 } = flags;
  const options = { ...weightsOf(flags), ...(ensemble && { ensemble }), decoding, listener };
  return replicas === 1 ? openTranslation(model, options) : openTranslationPool(model, { ...options, replicas });
}
