// The tokenizer of a configuration: what every task may say of it.
import { z } from "zod";

/** Which types of tokenizer know an option that not all of them know. */
const tokenizerTypesWith: Readonly<Record<string, readonly string[]>> = {
  merges: ["bpe"],
  characterCoverage: ["bpe"],
  dropout: ["bpe"], // a key of tasks that spell anew in every epoch
  byteFallback: ["bpe", "character"],
  splitPunctuation: ["bpe", "word"],
  minimumFrequency: ["bpe", "word"],
};

/** The keys of a tokenizer; a task may add its own. */
export const tokenizerKeys = {
  type: z
    .enum(["bpe", "character", "word"])
    .default("bpe")
    .describe("Units of text: byte-pair encoding, single characters, or whole words."),
  vocabularySize: z
    .int()
    .min(8)
    .optional()
    .describe(
      "Most entries of the vocabulary, special tokens included. bpe without merges: 8000; else what the text needs.",
    ),
  merges: z.int().min(0).optional().describe("bpe: merges to learn, in place of vocabularySize."),
  byteFallback: z
    .boolean()
    .optional()
    .describe("Spell a character that training never saw as its UTF-8 bytes. bpe: true; character: false."),
  characterCoverage: z
    .number()
    .gt(0)
    .lte(1)
    .optional()
    .describe("bpe: share of the text whose characters get entries. 0.9999; 1 without byteFallback."),
  splitPunctuation: z
    .boolean()
    .optional()
    .describe("bpe, word: part punctuation from words; false for text that is tokenised already. true."),
  minimumFrequency: z
    .int()
    .min(1)
    .optional()
    .describe("bpe: merge no pair seen less often, 2; word: keep no word seen less often, 1."),
  specialTokens: z
    .array(z.string().min(1))
    .default([])
    .describe("Tokens kept whole and skipped in output, such as tags of languages."),
  path: z.string().min(1).optional().describe("A tokenizer.json to use instead of learning one."),
};

/** Keys whose defaults depend on the type. */
type TypeDependent = "byteFallback" | "splitPunctuation" | "minimumFrequency" | "characterCoverage";

type TokenizerSection = z.output<z.ZodObject<typeof tokenizerKeys>>;

/** Refuses keys that the type of tokenizer has no use for. */
export function refuseNeedlessKeys(options: TokenizerSection, context: z.RefinementCtx): void {
  const reject = (key: string, message: string): void => context.addIssue({ code: "custom", path: [key], message });
  for (const [key, types] of Object.entries(tokenizerTypesWith)) {
    const isSet = options[key as keyof TokenizerSection] !== undefined;
    if (isSet && !types.includes(options.type)) reject(key, `has no effect with type ${options.type}. Remove it`);
  }
  if (options.merges !== undefined && options.vocabularySize !== undefined)
    reject("merges", "and tokenizer.vocabularySize both say when to stop. Give one of them");
}

/** What is left open depends on the type; a complete configuration says it. */
export function completeTokenizer<Section extends TokenizerSection>({
  byteFallback,
  splitPunctuation,
  minimumFrequency,
  characterCoverage,
  ...options
}: Section): Omit<Section, TypeDependent> & { [Key in TypeDependent]?: NonNullable<Section[Key]> } {
  if (options.type === "character") return { ...options, byteFallback: byteFallback ?? false };
  const words = {
    splitPunctuation: splitPunctuation ?? true,
    minimumFrequency: minimumFrequency ?? (options.type === "bpe" ? 2 : 1),
  };
  if (options.type === "word") return { ...options, ...words };
  return {
    ...options,
    ...(options.merges === undefined ? { vocabularySize: options.vocabularySize ?? 8000 } : {}),
    byteFallback: byteFallback ?? true,
    characterCoverage: characterCoverage ?? (byteFallback === false ? 1 : 0.9999),
    ...words,
  };
}
