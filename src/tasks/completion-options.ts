// How continuations are searched for or drawn: the choices of decoding-options.ts as a language model has them. What is about
// the source of a translation, or about models that write all at once, has no meaning here and is refused.
import { ConfigError } from "../base/index.ts";
import type { ScoreProcessor } from "../decode/index.ts";
import { decodingDefaults, misfitsOfDecoding, type DecodingChoices, type DecodingOptions } from "./decoding-options.ts";

/** Choices that a continuation has no use for, and why. */
export const meaninglessForCompletion = {
  coveragePenalty: "there is no source to cover",
  coverageLayer: "there is no source to cover",
  coverageHead: "there is no source to cover",
  shortlist: "there is no source whose translations could be listed",
  minLengthRatio: "there is no source to measure by. Use minLength",
  maxLengthRatio: "there is no source to measure by. Use maxLength",
  mbr: "continuations of one prompt need not agree with each other, so none is chosen by agreement",
  candidates: "continuations of one prompt need not agree with each other, so none is chosen by agreement",
  iterations: "it writes token after token, once",
  lengthCandidates: "it predicts no lengths",
  lengthFactor: "it predicts no lengths",
  mergeRepeats: "it sees what it has written",
} as const satisfies Partial<Record<keyof DecodingChoices, string>>;

/** Every choice of decoding that a language model heeds. */
export type CompletionChoices = Omit<DecodingChoices, keyof typeof meaninglessForCompletion>;

/**
 * The names are those of translation, with the same meaning. Where `search` is not said, a temperature of 0 or more than one beam
 * means beam search (one beam: greedy), anything else that the continuation is drawn.
 */
export interface CompletionOptions extends Partial<CompletionChoices> {
  /** Another name of maxLength: most tokens to write, END included. */
  maxTokens?: number;
  /** Looked at between steps. */
  signal?: AbortSignal;
  /** Applied before those that the choices ask for. The `sentence` that they see is a place in a batch. */
  processors?: readonly ScoreProcessor[];
}

/** What is different where a text is gone on with: it is drawn, one at a time, and may be long. */
export const completionDefaults = {
  ...decodingDefaults,
  search: "sample",
  beams: 1,
  maxLength: 200,
} as const satisfies DecodingChoices;

const ofDraws = ["temperature", "topK", "topP", "minP", "typicalP"] as const satisfies (keyof DecodingChoices)[];
const ofBeams = ["beams", "groups", "diversityPenalty"] as const satisfies (keyof DecodingChoices)[];

type Search = DecodingChoices["search"];
type Choices = DecodingChoices & Pick<DecodingOptions, "signal" | "processors">;

/** Whether the options mean a search or a draw; `before` is what holds without them. */
function searchOf({ search, temperature, beams = 1 }: CompletionOptions, before?: Search): Search | undefined {
  if (search !== undefined) return search;
  if (temperature === 0) return "beam";
  if (temperature !== undefined) return before === undefined || before === "beam" ? "sample" : before;
  if (beams > 1) return before === undefined || before === "sample" ? "beam" : before;
  return before;
}

/**
 * What was said now goes before what was configured; where that makes a search of a draw, or a draw of a search, what was
 * configured for the other is forgotten. Refuses what cannot be honoured.
 */
export function completionChoices(configured: CompletionOptions, said: CompletionOptions): Choices {
  for (const key of Object.keys(said)) {
    if (key in meaninglessForCompletion) {
      const why = meaninglessForCompletion[key as keyof typeof meaninglessForCompletion];
      throw new ConfigError(key, `has no meaning for a language model: ${why}.`);
    }
  }
  const before = searchOf(configured) ?? completionDefaults.search;
  const search = searchOf(said, before)!;
  const forgotten = search === before ? [] : search === "beam" ? ofDraws : search === "sample" ? ofBeams : [];
  const kept = Object.entries(byOneName(configured)).filter(
    ([key, value]) =>
      !(forgotten as readonly string[]).includes(key) && !(key === "temperature" && value === 0 && search !== "beam"),
  );
  const choices: Choices = { ...completionDefaults, ...Object.fromEntries(kept), ...byOneName(said), search };
  const [misfit] = misfitsOfCompletion(choices);
  if (misfit !== undefined) throw new ConfigError(misfit.key, `${misfit.problem}.`);
  return choices.temperature === 0 ? { ...choices, temperature: 1 } : choices;
}

/** Choices of a language model that do not go together: the key, and what is wrong with it. */
export function misfitsOfCompletion(choices: DecodingChoices): ReturnType<typeof misfitsOfDecoding> {
  const { search, temperature, beams } = choices;
  if (!(temperature >= 0)) return [{ key: "temperature", problem: `must be 0 or more (got ${temperature})` }];
  if (search === "sample" && beams > 1)
    return [{ key: "beams", problem: "beam search does not draw. Set temperature to 0, or beams to 1" }];
  if (temperature > 0) return misfitsOfDecoding(choices);
  if (search !== "beam") return [{ key: "temperature", problem: `must be above 0 with search ${search} (got 0)` }];
  const needless = ofDraws.filter((key) => key !== "temperature" && choices[key] !== undefined);
  return [
    ...needless.map((key) => ({
      key,
      problem: "has no effect at temperature 0, where nothing is drawn. Remove it",
    })),
    ...misfitsOfDecoding({ ...choices, temperature: 1 }).filter(({ key }) => !needless.some((other) => other === key)),
  ];
}

/** Without what was not said, and with maxLength by that name. */
function byOneName({ maxTokens, ...options }: CompletionOptions): Omit<CompletionOptions, "maxTokens"> {
  const said: CompletionOptions = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  );
  if (maxTokens === undefined) return said;
  if (said.maxLength !== undefined && said.maxLength !== maxTokens)
    throw new ConfigError(
      "maxTokens",
      `is another name of maxLength (got ${maxTokens} and ${said.maxLength}). Say one of them.`,
    );
  return { ...said, maxLength: maxTokens };
}
