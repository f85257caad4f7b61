// The `decoding` section of a language model's configuration: the keys of decoding-config.ts that it heeds, and what they are by themselves.
// Import this file by its own name: it loads zod.
import { z } from "zod";
import {
  completionDefaults as standard,
  type meaninglessForCompletion,
  misfitsOfCompletion,
} from "./completion-options.ts";
import { decodingKeys } from "./decoding-config.ts";

const { search, beams, maxLength, minLength, batchTokens } = decodingKeys;
// Keys about a source, or about models that write all at once, have no meaning.
const heeded = z.strictObject(decodingKeys).omit({
  coveragePenalty: true,
  coverageLayer: true,
  coverageHead: true,
  shortlist: true,
  minLengthRatio: true,
  maxLengthRatio: true,
  mbr: true,
  candidates: true,
  iterations: true,
  lengthCandidates: true,
  lengthFactor: true,
  mergeRepeats: true,
} satisfies Record<keyof typeof meaninglessForCompletion, true>).shape;

/** The section as a language model has it, before it is looked at as a whole. */
export const completionKeys = z.strictObject({
  ...heeded,
  search: search
    .unwrap()
    .exactOptional()
    .describe(
      "Search for likely outputs, draw them one by one, or draw different ones together; drawn if not said, unless temperature is 0.",
    ),
  beams: beams.unwrap().default(standard.beams).describe("Hypotheses kept at a time of a search; 1 is greedy search."),
  minLength: minLength.describe("Fewest tokens before END."),
  maxLength: maxLength.unwrap().default(standard.maxLength).describe("Most tokens to write, END included."),
  maxTokens: maxLength.unwrap().exactOptional().describe("Another name of maxLength."),
  temperature: z
    .number()
    .min(0)
    .default(standard.temperature)
    .describe("Scores are divided by it before a draw; below 1 the likely gets likelier, at 0 nothing is drawn."),
  batchTokens: batchTokens.describe("Most tokens of one batch of prompts."),
});

/** The section with every key in its place. */
export const completionSection = completionKeys
  .superRefine((options, context) => {
    const reject = (key: string, message: string): void => context.addIssue({ code: "custom", path: [key], message });
    const { search: said, temperature, beams: kept } = options;
    if (said === undefined && kept > 1 && temperature > 0)
      return reject("beams", "needs decoding.temperature 0: beam search does not draw");
    const means = said ?? (temperature === 0 ? "beam" : standard.search);
    for (const { key, problem } of misfitsOfCompletion({ ...standard, ...options, search: means }))
      reject(key, problem.replace(", where nothing is drawn", ""));
  })
  .transform(({ maxTokens, ...options }) => ({ ...options, maxLength: maxTokens ?? options.maxLength }));
