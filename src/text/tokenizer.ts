// What every tokenizer promises: text in, ids out, and back.
import type { RandomStream } from "../base/index.ts";

/** Ids that have a meaning of their own, whatever the text. */
export interface SpecialIds {
  /** Fills a batch's short rows: `<pad>`, 0. */
  readonly pad: number;
  /** Stands for what the vocabulary cannot spell: `<unk>`, 1. */
  readonly unknown: number;
  /** Opens a sequence: `<s>`, 2. */
  readonly start: number;
  /** Closes a sequence: `</s>`, 3. */
  readonly end: number;
}

export interface EncodeOptions {
  /** Put the start token first. */
  start?: boolean;
  /** Put the end token last. */
  end?: boolean;
  /**
   * What the name of a special token means when it stands in the text: the token (`"match"`, as Hugging Face does),
   * or letters like any others (`"text"`, for input from strangers).
   */
  specialTokens?: "match" | "text";
  /** Chance to leave out a merge, BPE only: Provilkov et al. 2020, "BPE-Dropout". Needs `random`. */
  dropout?: number;
  /** Where the chances come from. */
  random?: RandomStream;
}

export interface DecodeOptions {
  /** Write special tokens by their names instead of skipping them. */
  keepSpecialTokens?: boolean;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  readonly special: SpecialIds;
  /** The ids of a text. No special token is added unless asked for. An unpaired surrogate counts as U+FFFD, as in UTF-8. */
  encode(text: string, options?: EncodeOptions): number[];
  /** The text of ids; special tokens are skipped. An id outside the vocabulary is a DataError. */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /** What `encode` gives, as tokens to look at. */
  tokens(text: string, options?: EncodeOptions): string[];
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
  /** The content of `tokenizer.json`, readable by Hugging Face's `tokenizers`. */
  toJSON(): TokenizerJson;
}

/** `tokenizer.json`, version 1.0, as far as Heddle writes it. */
export interface TokenizerJson {
  readonly version: "1.0";
  readonly truncation: null;
  readonly padding: null;
  readonly added_tokens: readonly AddedTokenJson[];
  readonly normalizer: JsonValue;
  readonly pre_tokenizer: JsonValue;
  readonly post_processor: null;
  readonly decoder: JsonValue;
  readonly model: BpeModelJson | WordModelJson;
}

export interface AddedTokenJson {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

export interface BpeModelJson {
  readonly type: "BPE";
  readonly dropout: null;
  readonly unk_token: string;
  readonly continuing_subword_prefix: null;
  readonly end_of_word_suffix: null;
  readonly fuse_unk: boolean;
  readonly byte_fallback: boolean;
  readonly ignore_merges: boolean;
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [string, string])[];
}

export interface WordModelJson {
  readonly type: "WordLevel";
  readonly vocab: Readonly<Record<string, number>>;
  readonly unk_token: string;
}

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };
