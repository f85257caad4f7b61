// How TER prepares text: the rules of Tercom's Normalizer.
import { separateMarks, separateStops, unescapeEntities } from "./western-text.ts";
import { squeezeSpaces } from "./whitespace.ts";

export interface TercomOptions {
  /** Undo entities and set punctuation apart. */
  normalized: boolean;
  /** Remove punctuation. */
  noPunct: boolean;
  /** With `normalized`, East Asian characters and marks one by one; with `noPunct`, remove their punctuation too. */
  asianSupport: boolean;
  caseSensitive: boolean;
}

const asianPunctuation = "\\u3001\\u3002\\u3008-\\u3011\\u3014-\\u301f\\uff61-\\uff65\\u30fb";
const fullWidthPunctuation = "\\uff0e\\uff0c\\uff1f\\uff1a\\uff1b\\uff01\\uff02\\uff08\\uff09";

/**
 * Characters set apart: CJK ideographs with extension A, strokes, radicals, compatibility forms, and U+3200 to U+3F22, which
 * stands in the published table where U+32FF was meant. Its rules for runs of kana only fit text without a leading space,
 * which the rules before them always put there, so kana stay together.
 */
const asianCharacters = new RegExp(
  `[\\u4e00-\\u9fff\\u3400-\\u4dbf\\u31c0-\\u31ef\\u2e80-\\u2eff\\uf900-\\ufaff\\ufe30-\\ufe4f\\u3200-\\u3f22${asianPunctuation}${fullWidthPunctuation}]`,
  "gu",
);
const allPunctuation = new RegExp(`[.,?:;!"()${asianPunctuation}${fullWidthPunctuation}]`, "gu");

/** The words of a line, single spaces between them. */
export function tokenizeTercom(
  line: string,
  { normalized, noPunct, asianSupport, caseSensitive }: TercomOptions,
): string {
  let text = caseSensitive ? line : line.toLowerCase();
  if (normalized) {
    text = normalizeWestern(text);
    if (asianSupport) text = text.replace(asianCharacters, " $& ");
  }
  if (noPunct) text = text.replace(asianSupport ? allPunctuation : /[.,?:;!"()]/g, "");
  return squeezeSpaces(text);
}

function normalizeWestern(line: string): string {
  const joined = line.replaceAll("\n-", "").replaceAll("\n", " ");
  return separateStops(separateMarks(` ${unescapeEntities(joined)} `).replaceAll("'s ", " 's "));
}
