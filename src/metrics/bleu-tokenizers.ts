// How BLEU cuts text into words. A score can be compared only with scores of the same tokenizer, so these follow the
// published definitions to the letter, their accidents included.
import { separateMarks, separateStops, unescapeEntities } from "./western-text.ts";
import { squeezeSpaces, trim } from "./whitespace.ts";

/** mteval-v13a's rules for Western languages, shared by `13a` and `zh`. */
function separatePunctuation(line: string): string {
  return squeezeSpaces(separateStops(separateMarks(line)));
}

/**
 * Characters that `zh` sets apart. The table this comes from writes two ranges beyond U+FFFF with four-digit escapes; read
 * as it is executed, the first of them covers U+2001 to U+2A6D (so dashes, curly quotes and arrows are set apart), the
 * second falls inside the Kangxi radicals, and the supplementary ideographs themselves are not covered.
 */
const chineseCharacters =
  /[\u3400-\u4db5\u4e00-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\u2001-\u2a6d\uff00-\uffef\u2e80-\u2eff\u3000-\u303f\u31c0-\u31ef\u2f00-\u2fdf\u2ff0-\u2fff\u3100-\u312f\u31a0-\u31bf\ufe10-\ufe1f\ufe30-\ufe4f\u3200-\u33ff]/gu;

export const bleuTokenizers = {
  /** Leaves the text as it is; words are what lies between white space. */
  none: (line: string) => line,

  /** NIST's mteval-v13a, the standard of the WMT conferences. */
  "13a": (line: string) => {
    const joined = line.replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ");
    return separatePunctuation(` ${unescapeEntities(joined)} `);
  },

  /** mteval-v14 international: punctuation not between numbers, and every symbol, by Unicode category. */
  intl: (line: string) =>
    squeezeSpaces(
      line
        .replace(/(\P{N})(\p{P})/gu, "$1 $2 ")
        .replace(/(\p{P})(\P{N})/gu, " $1 $2")
        .replace(/(\p{S})/gu, " $1 "),
    ),

  /** Every character a word. */
  char: (line: string) => [...line].join(" "),

  /** Chinese characters one by one, the rest as in mteval-v13a, but without its entities. */
  zh: (line: string) => separatePunctuation(trim(line).replace(chineseCharacters, " $& ")),
} as const;

export type BleuTokenizer = keyof typeof bleuTokenizers;
