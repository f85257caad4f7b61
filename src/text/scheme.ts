// How text becomes words before a model cuts them further, and how it comes back: spaces turn into a visible letter, so
// that joining the tokens is all there is to undoing it. The scheme is written in tokenizer.json as Hugging Face's
// components, which do the same steps in the same order.
import type { JsonValue } from "./tokenizer.ts";

/** Stands for a space (U+2581), as in SentencePiece: Kudo and Richardson 2018, section 3.2. */
export const meta = "▁";

/**
 * A ▁ of the text's own must not come back as a space. It is written as this escape (U+0010, "data link escape") and
 * "1"; an escape of the text's own as the escape and "0". Every escape is then followed by a digit, so it can be undone.
 */
const escape = "\u0010";

/**
 * Marks that stand apart from the word beside them: ASCII controls and punctuation, its Latin-1, CJK and full-width
 * relatives, and general punctuation but for the joiners U+200C and U+200D. Ranges rather than Unicode properties, since
 * the properties change with the Unicode version of whoever reads the pattern.
 */
const marks =
  "\\x00-\\x1F\\x21-\\x2F\\x3A-\\x40\\x5B-\\x60\\x7B-\\x7F" +
  "\u00a0-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7" +
  "\u2000-\u200b\u200e-\u206f\u3000-\u3004\u3008-\u3020\u3030" +
  "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65";

const patterns = {
  spaces: `${meta}?[^${meta}]+|${meta}`,
  punctuation: `${meta}?[^${meta}${marks}]+|${meta}?[${marks}]+|${meta}`,
} as const;

/** Where a text is cut before the model sees it; merges never cross a cut. */
export type WordBoundary = "none" | "spaces" | "punctuation";

export interface Scheme {
  /** Cut nowhere, before spaces, or also around punctuation. */
  readonly boundary: WordBoundary;
  /** Put a space before the text, so that a word is the same at the front as in the middle; `restore` takes it off. */
  readonly leadingSpace: boolean;
  /** Tokens `<0x00>` … `<0xFF>` stand for bytes. */
  readonly byteFallback: boolean;
}

/** Text → the text with spaces made visible. */
export function makeVisible(text: string, scheme: Scheme): string {
  if (text === "") return text;
  const escaped = text.replaceAll(escape, `${escape}0`).replaceAll(meta, `${escape}1`);
  return (scheme.leadingSpace ? meta : "") + escaped.replaceAll(" ", meta);
}

/** Undoes `makeVisible`. */
export function restore(visible: string, scheme: Scheme): string {
  const text = visible.replaceAll(meta, " ").replaceAll(`${escape}1`, meta).replaceAll(`${escape}0`, escape);
  return scheme.leadingSpace && text.startsWith(" ") ? text.slice(1) : text;
}

/** Visible text → words that join to it again. */
export function cutter(scheme: Scheme): (visible: string) => readonly string[] {
  if (scheme.boundary === "none") return (visible) => (visible === "" ? [] : [visible]);
  const pattern = new RegExp(patterns[scheme.boundary], "gu");
  return (visible) => visible.match(pattern) ?? [];
}

function replacement(from: string, to: string): JsonValue {
  return { type: "Replace", pattern: { String: from }, content: to };
}

/** The scheme as components of `tokenizer.json`. */
export function schemeJson({ boundary, leadingSpace, byteFallback }: Scheme): {
  normalizer: JsonValue;
  pre_tokenizer: JsonValue;
  decoder: JsonValue;
} {
  return {
    normalizer: {
      type: "Sequence",
      normalizers: [
        replacement(escape, `${escape}0`),
        replacement(meta, `${escape}1`),
        replacement(" ", meta),
        ...(leadingSpace ? [{ type: "Prepend", prepend: meta }] : []),
      ],
    },
    pre_tokenizer:
      boundary === "none"
        ? null
        : { type: "Split", pattern: { Regex: patterns[boundary] }, behavior: "Isolated", invert: false },
    decoder: {
      type: "Sequence",
      decoders: [
        ...(byteFallback ? [{ type: "ByteFallback" }] : []),
        { type: "Fuse" },
        replacement(meta, " "),
        replacement(`${escape}1`, meta),
        replacement(`${escape}0`, escape),
        ...(leadingSpace ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
  };
}
