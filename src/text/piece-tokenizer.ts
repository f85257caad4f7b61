// What all our tokenizers share: special tokens, words, the vocabulary, and the way back to text. What differs is how a
// word is spelt with tokens.
import { ConfigError, DataError } from "../base/index.ts";
import { cutter, makeVisible, restore, schemeJson, type Scheme } from "./scheme.ts";
import { addedTokenJson, basicTokens, byteToken, looksLikeByte, specialTokenCutter } from "./special-tokens.ts";
import type {
  BpeModelJson,
  DecodeOptions,
  EncodeOptions,
  SpecialIds,
  Tokenizer,
  TokenizerJson,
  WordModelJson,
} from "./tokenizer.ts";

/** What a saved tokenizer consists of, whatever its kind. */
export interface Pieces {
  /** Every token at the place of its id. */
  readonly vocabulary: readonly string[];
  /** Those of the vocabulary that are no text: the basic four and the user's own. */
  readonly specialTokens: readonly string[];
  readonly scheme: Scheme;
}

/** Words remembered with their tokens; beyond so many the memory starts anew. */
const cacheWords = 2 ** 16;
/** A longer word is not remembered, so that the cache stays small. */
const cacheWordLength = 64;

export abstract class PieceTokenizer implements Tokenizer {
  readonly special: SpecialIds;
  protected readonly scheme: Scheme;
  readonly #vocabulary: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  /** Ids of tokens that text can be spelt with. */
  readonly #textIds = new Map<string, number>();
  readonly #specialIds: ReadonlyMap<string, number>;
  /** Value of each token that is a byte. */
  readonly #bytes = new Map<string, number>();
  readonly #cutAtSpecial: (text: string) => string[];
  readonly #cutWords: (visible: string) => readonly string[];
  readonly #cache = new Map<string, readonly number[]>();

  constructor({ vocabulary, specialTokens, scheme }: Pieces) {
    this.scheme = scheme;
    this.#vocabulary = vocabulary;
    this.#ids = new Map(vocabulary.map((token, id) => [token, id]));
    const required = (token: string): number => {
      const id = this.#ids.get(token);
      if (id === undefined) throw new ConfigError("tokenizer", `the token ${token} must be in the vocabulary.`);
      return id;
    };
    this.#specialIds = new Map(specialTokens.map((token) => [token, required(token)]));
    this.special = {
      pad: required(basicTokens.pad),
      unknown: required(basicTokens.unknown),
      start: required(basicTokens.start),
      end: required(basicTokens.end),
    };
    if (scheme.byteFallback) {
      for (let byte = 0; byte < 256; byte++) {
        required(byteToken(byte));
        this.#bytes.set(byteToken(byte), byte);
      }
    }
    for (const [token, id] of this.#ids) {
      if (!this.#specialIds.has(token) && !this.#bytes.has(token)) this.#textIds.set(token, id);
    }
    this.#cutAtSpecial = specialTokenCutter(specialTokens);
    this.#cutWords = cutter(scheme);
  }

  /** The ids that spell one word. */
  protected abstract spell(word: string, dropout: number, options: EncodeOptions): readonly number[];
  protected abstract modelJson(vocab: Record<string, number>): BpeModelJson | WordModelJson;

  /** The id of a token as a piece of text: undefined for special tokens and for bytes. */
  protected textId(token: string): number | undefined {
    return this.#textIds.get(token);
  }

  /** The ids of a word's characters; one without a token becomes its bytes, or else unknown. */
  protected characterIds(word: string): number[] {
    const ids: number[] = [];
    for (const character of word) {
      const id = this.#textIds.get(character);
      if (id !== undefined) ids.push(id);
      else if (this.scheme.byteFallback)
        for (const byte of new TextEncoder().encode(character)) ids.push(this.#ids.get(byteToken(byte))!);
      else ids.push(this.special.unknown);
    }
    return ids;
  }

  get vocabularySize(): number {
    return this.#vocabulary.length;
  }

  idOf(token: string): number | undefined {
    return this.#ids.get(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#vocabulary[id];
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { start = false, end = false, specialTokens = "match", dropout = 0, random } = options;
    if (!(dropout >= 0 && dropout <= 1))
      throw new ConfigError("encode", `dropout must be from 0 to 1 (got ${dropout}).`);
    if (dropout > 0 && random === undefined)
      throw new ConfigError("encode", "dropout needs random, a RandomStream to draw from.");
    const ids: number[] = start ? [this.special.start] : [];
    const sound = text.toWellFormed();
    const segments = specialTokens === "match" ? this.#cutAtSpecial(sound) : [sound];
    for (const [i, segment] of segments.entries()) {
      if (i % 2 === 1) ids.push(this.#specialIds.get(segment)!);
      else
        for (const word of this.#cutWords(makeVisible(segment, this.scheme)))
          for (const id of this.#spellOnce(word, dropout, options)) ids.push(id);
    }
    if (end) ids.push(this.special.end);
    return ids;
  }

  #spellOnce(word: string, dropout: number, options: EncodeOptions): readonly number[] {
    if (dropout > 0 || word.length > cacheWordLength) return this.spell(word, dropout, options);
    let ids = this.#cache.get(word);
    if (ids === undefined) {
      ids = this.spell(word, dropout, options);
      if (this.#cache.size >= cacheWords) this.#cache.clear();
      this.#cache.set(word, ids);
    }
    return ids;
  }

  decode(ids: Iterable<number>, { keepSpecialTokens = false }: DecodeOptions = {}): string {
    let visible = "";
    let bytes: number[] = [];
    const flush = (): void => {
      if (bytes.length > 0) visible += decodeBytes(bytes);
      bytes = [];
    };
    for (const id of ids) {
      const token = this.#vocabulary[id];
      if (token === undefined)
        throw new DataError(
          "ids",
          undefined,
          `${id} is no token's id (they go from 0 to ${this.vocabularySize - 1}). Was the text encoded with another tokenizer?`,
        );
      if (!keepSpecialTokens && this.#specialIds.has(token)) continue;
      const byte = this.#bytes.get(token);
      if (byte !== undefined) bytes.push(byte);
      else {
        flush();
        visible += token;
      }
    }
    flush();
    return restore(visible, this.scheme);
  }

  tokens(text: string, options?: EncodeOptions): string[] {
    return this.encode(text, options).map((id) => this.#vocabulary[id]!);
  }

  toJSON(): TokenizerJson {
    // Without a prototype, or the token "__proto__" would be lost.
    const vocab = Object.create(null) as Record<string, number>;
    for (const [id, token] of this.#vocabulary.entries()) vocab[token] = id;
    return {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [...this.#specialIds].map(([token, id]) => addedTokenJson(token, id)),
      ...schemeJson(this.scheme),
      post_processor: null,
      model: this.modelJson(vocab),
    };
  }
}

/** A run of bytes as text; where they are no UTF-8, U+FFFD for each byte, as Hugging Face's ByteFallback does. */
function decodeBytes(bytes: readonly number[]): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return "\ufffd".repeat(bytes.length);
  }
}

/** Whether text may not be given this token: it would be taken for a special token or for a byte. */
export function isReserved(token: string, specialTokens: ReadonlySet<string>): boolean {
  return specialTokens.has(token) || looksLikeByte(token);
}
