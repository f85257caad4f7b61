// The `decoding` section of a configuration, and so the flags of the commands that decode: each key's range and help line.
// Import this file by its own name: it loads zod.
import { z } from "zod";
import { decodingDefaults as standard, misfitsOfDecoding, type DecodingChoices } from "./decoding-options.ts";
import { onePassDecodingKeys } from "./non-autoregressive-config.ts";

const count = (help: string): z.ZodInt => z.int().min(1).describe(help);
const share = (help: string): z.ZodNumber => z.number().gt(0).lt(1).describe(help);
const texts = (help: string): z.ZodArray<z.ZodString> => z.array(z.string().min(1)).describe(help);

/** Every key by itself, for sections that have some of them. */
export const decodingKeys = {
  search: z
    .enum(["beam", "sample", "stochastic-beam", "beam-sample"])
    .default(standard.search)
    .describe(
      "Search for likely outputs, draw them one by one, draw different ones together, or draw a beam's continuations.",
    ),
  beams: count("Hypotheses kept at a time; 1 is greedy search.").default(standard.beams),
  groups: count("Groups that the beams are split into; above 1 is diverse beam search.").default(standard.groups),
  diversityPenalty: z
    .number()
    .min(0)
    .default(standard.diversityPenalty)
    .describe("With groups: taken off a token for every earlier group's beam that chose it at the same step."),
  earlyStopping: z
    .union([z.boolean(), z.literal("never")])
    .default(standard.earlyStopping)
    .describe(
      "End a line's search once `beams` outputs ended; false: once no better one is likely; never: or possible.",
    ),
  lengthPenalty: z
    .number()
    .default(standard.lengthPenalty)
    .describe("Exponent of the length that a hypothesis' score is divided by; above 1 favours long ones."),
  lengthNormalization: z
    .enum(["power", "gnmt"])
    .default(standard.lengthNormalization)
    .describe("What has that exponent: the length n itself, or GNMT's (5 + n) / 6."),
  coveragePenalty: z
    .number()
    .min(0)
    .default(standard.coveragePenalty)
    .describe("Weight of GNMT's coverage penalty: taken off hypotheses that pass over words of the source."),
  coverageLayer: z
    .int()
    .min(0)
    .exactOptional()
    .describe("Layer of the decoder whose attention counts as coverage, from 0; the last if not said."),
  coverageHead: z.int().min(0).exactOptional().describe("Head of that layer, from 0; the mean of all if not said."),
  minLength: z.int().min(0).default(standard.minLength).describe("Fewest target tokens before END."),
  maxLength: count("Most target tokens, END included.").default(standard.maxLength),
  minLengthRatio: z.number().gt(0).exactOptional().describe("Fewest target tokens for each source token."),
  maxLengthRatio: z.number().gt(0).exactOptional().describe("Most target tokens for each source token."),
  nbest: count("Outputs given for each line, best first.").default(standard.nbest),
  temperature: z
    .number()
    .gt(0)
    .default(standard.temperature)
    .describe("Scores are divided by it before a draw; below 1 the likely gets likelier."),
  topK: count("Draw among this many likeliest tokens.").exactOptional(),
  topP: share("Draw among the fewest likeliest tokens that together have this probability.").exactOptional(),
  minP: share("Draw among tokens that are at least this share as likely as the likeliest.").exactOptional(),
  typicalP: share("Draw among tokens as surprising as expected that together have this probability.").exactOptional(),
  keepDropout: z
    .boolean()
    .default(standard.keepDropout)
    .describe("Drop values in the decoder as in training, for outputs that differ by seed."),
  shortlist: z
    .enum(["none", "sentence", "batch"])
    .default(standard.shortlist)
    .describe("Score only tokens that the sentence, or its batch, may become: faster. See heddle shortlist."),
  seed: z
    .int()
    .min(0)
    .default(standard.seed)
    .describe("Of a draw, and of dropout that is kept: same seed, same outputs."),
  repetitionPenalty: z
    .number()
    .gt(0)
    .default(standard.repetitionPenalty)
    .describe("Multiplies the log-probability of tokens that stand already; above 1 repeats less."),
  presencePenalty: z
    .number()
    .default(standard.presencePenalty)
    .describe("Taken off the score of tokens that stand already."),
  frequencyPenalty: z
    .number()
    .default(standard.frequencyPenalty)
    .describe("Taken off the score of a token for every time that it stands already."),
  blockNgram: count("No sequence of this many tokens comes twice in an output.").exactOptional(),
  phrases: texts("What every output must hold.").default([...standard.phrases]),
  avoid: texts("What no output may hold, as the tokenizer spells it.").default([...standard.avoid]),
  oneOf: texts("Every output is one of these; anything where there are none.").default([...standard.oneOf]),
  stop: texts("An output ends before the first of these.").default([...standard.stop]),
  mbr: z
    .enum(["none", "bleu", "chrf"])
    .default(standard.mbr)
    .describe("Choose the output that agrees best with the other candidates by this metric: minimum Bayes risk."),
  candidates: z
    .int()
    .min(2)
    .exactOptional()
    .describe("Outputs that mbr chooses among; all beams, or 32 drawn ones, if not said."),
  batchTokens: count("Most tokens of one batch of sources, padding included.").default(standard.batchTokens),
  batching: z
    .enum(["sorted", "joining"])
    .default(standard.batching)
    .describe("Decode windows of lines sorted by length, or lines as they come, each joining as others leave."),
  ...onePassDecodingKeys,
} satisfies { [Key in keyof DecodingChoices]-?: z.ZodType };

/** The section as a translation has it. */
export const decodingSection = z.strictObject(decodingKeys).superRefine((options, context) => {
  for (const { key, problem } of misfitsOfDecoding(options))
    context.addIssue({ code: "custom", path: [key], message: problem });
});
