// Text that tokenizers trip over, and tokenizers small enough to make in a moment.
import fc from "fast-check";
import { BpeTokenizer, CharacterTokenizer, WordTokenizer, type Tokenizer } from "../../src/text/index.ts";

export const sentence = "A man in an orange hat is staring at something.";

export const lines = [
  sentence,
  "A man in a blue shirt is standing on a ladder, cleaning a window.",
  "Ein Mann mit einem orangefarbenen Hut starrt etwas an; ein Mann in blau.",
  "Two young, white males are outside near many bushes (the bushes are green).",
  "a man 's hat isn't a man 's shirt @-@ isn't it ? &apos; \"yes\"",
  "中文的句子,没有空格。中文的句子。",
  "<0x41> <0x41> <0x41> <s> __proto__ __proto__ constructor constructor",
];

export const awkward: readonly (readonly [what: string, text: string])[] = [
  ["nothing", ""],
  ["a space", " "],
  ["spaces around and between", "  two  spaces   here  "],
  ["the meta symbol alone", "▁"],
  ["the meta symbol among spaces", "▁a ▁ b▁▁ c ▁"],
  ["the escape", "\u0010"],
  ["the escape before digits and meta", "\u00100 \u00101 \u0010▁ ▁0▁1 \u0010\u00101"],
  ["line ends and tabs", "a\nb\r\nc\td\n\n"],
  ["NUL", "\0a\0 \0"],
  ["emoji with joiners and tones", "👩‍👩‍👧 👍🏽 🇩🇪 🎉🎉"],
  ["characters outside the first plane", "𝔘𝔫𝔦 𠮷野家"],
  ["names of bytes", "<0x41> <0x0A><0xe2> <0x+A>"],
  ["names of specials, broken", "<pad < s> </ s>"],
  ["a byte order mark", "\ufeffa\ufeff"],
  ["noncharacters", "\u{10ffff}\ufffe\uffff"],
  ["the replacement character", "\ufffd a"],
  ["combining marks", "e\u0301 é n\u0303o"],
  ["Chinese and full-width signs", "中文，句子。（好）"],
  ["right to left", "שלום עולם ١٢٣"],
  ["ASCII signs", "don't stop-it (now)!? a_b [c] {d} \\ ^ ~ `e` $5 #6 %7 &8"],
  ["unlike spaces", "a\u00a0b\u2003c\u3000d\u2028e\u200bf"],
  ["words of JavaScript", "__proto__ constructor toString"],
  ["a long word", "ab".repeat(500)],
];

/** Strings of everything that Unicode has, and of what the scheme gives a meaning to. */
export const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom(" ", "▁", "\u0010", "0", "1", "a", "man", "\n", "é", "<0x41>", "\0", "🎉", ".", "中"),
    maxLength: 30,
  }),
);

export const kinds: readonly (readonly [name: string, tokenizer: Tokenizer])[] = [
  ["BPE", BpeTokenizer.train(lines, { vocabularySize: 500 })],
  ["BPE with few characters", BpeTokenizer.train(lines, { vocabularySize: 330, characterCoverage: 0.9 })],
  ["BPE without bytes", BpeTokenizer.train(lines, { vocabularySize: 200, byteFallback: false })],
  ["BPE at spaces only", BpeTokenizer.train(lines, { vocabularySize: 500, splitPunctuation: false })],
  ["BPE with tags", BpeTokenizer.train(lines, { vocabularySize: 500, specialTokens: ["<de>", "<de-AT>", "|"] })],
  ["characters", CharacterTokenizer.train(lines)],
  ["characters and bytes", CharacterTokenizer.train(lines, { byteFallback: true })],
  ["words", WordTokenizer.train(lines)],
  ["words at spaces only", WordTokenizer.train(lines, { vocabularySize: 40, splitPunctuation: false })],
];
