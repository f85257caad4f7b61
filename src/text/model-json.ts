// The model part of tokenizer.json, for each model we write.
import { basicTokens } from "./special-tokens.ts";
import type { BpeModelJson, WordModelJson } from "./tokenizer.ts";

/** BPE; without merges every character stands alone. */
export function bpeModelJson(
  vocab: Readonly<Record<string, number>>,
  merges: readonly (readonly [string, string])[],
  byteFallback: boolean,
): BpeModelJson {
  return {
    type: "BPE",
    dropout: null,
    unk_token: basicTokens.unknown,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: byteFallback,
    ignore_merges: false,
    vocab,
    merges,
  };
}

/** Whole words. */
export function wordModelJson(vocab: Readonly<Record<string, number>>): WordModelJson {
  return { type: "WordLevel", vocab, unk_token: basicTokens.unknown };
}
