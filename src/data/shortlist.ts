// Which target tokens a sentence may be translated with: those that its tokens go with, and the most frequent ones.
import { ConfigError } from "../base/index.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { TokenRows } from "./token-rows.ts";
import { learnTranslations } from "./word-translations.ts";

/** What a list needs to know of a tokenizer. */
export interface ListedVocabulary {
  readonly vocabularySize: number;
  tokenOf(id: number): string | undefined;
}

/** Names both vocabularies, so that a list is not used with others. */
export function vocabularyFingerprint(source: ListedVocabulary, target: ListedVocabulary): string {
  const characters = new TextEncoder();
  return fingerprintOf(
    [source, target].flatMap((side) =>
      Array.from({ length: side.vocabularySize }, (_, id) => characters.encode(side.tokenOf(id) ?? "")),
    ),
  );
}

export interface ShortlistContents {
  /** Of every sentence: ascending. */
  common: Int32Array;
  /** Those that go with source token s are tokens[offsets[s] … offsets[s + 1]]. */
  offsets: Uint32Array;
  tokens: Int32Array;
  targetVocabulary: number;
  /** See `vocabularyFingerprint`. */
  fingerprint: string;
}

export interface LearnShortlistOptions {
  source: TokenRows;
  target: TokenRows;
  vocabularies: { readonly source: ListedVocabulary; readonly target: ListedVocabulary };
  /** Tokens that every list holds, whatever else: START, END and the like. */
  always: readonly number[];
  /** Target tokens that go with each source token. */
  perToken?: number;
  /** The most frequent target tokens, which are in every list. */
  common?: number;
  iterations?: number;
}

/**
 * Candidate lists: the output layer scores these tokens alone. Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural
 * Machine Translation", section 3.2; L'Hostis et al. 2016, "Vocabulary Selection Strategies for Neural Machine Translation".
 */
export class Shortlist {
  readonly contents: Readonly<ShortlistContents>;
  readonly #marks: Int32Array;
  #round = 0;

  /** Throws ConfigError for tokens that the vocabulary does not have. */
  constructor(contents: ShortlistContents) {
    const { common, tokens, targetVocabulary } = contents;
    for (const list of [common, tokens]) {
      const stranger = list.find((token) => token < 0 || token >= targetVocabulary);
      if (stranger !== undefined)
        throw new ConfigError("shortlist", `token ${stranger} is not in a vocabulary of ${targetVocabulary}.`);
    }
    this.contents = contents;
    this.#marks = new Int32Array(targetVocabulary);
  }

  /**
   * Learns it from sentence pairs by `learnTranslations`. With one vocabulary for both languages a token also goes with itself.
   * @example
   * const pairs = await encodePairs(corpus, { source: tokenizer, target: tokenizer });
   * const vocabularies = { source: tokenizer, target: tokenizer };
   * const shortlist = Shortlist.learn({ ...pairs, vocabularies, always: Object.values(tokenizer.special) });
   */
  static learn({
    source,
    target,
    vocabularies,
    always,
    perToken = 20,
    common = 1000,
    iterations,
  }: LearnShortlistOptions): Shortlist {
    const [sourceVocabulary, targetVocabulary] = [
      vocabularies.source.vocabularySize,
      vocabularies.target.vocabularySize,
    ];
    const translations = learnTranslations({
      source,
      target,
      sourceVocabulary,
      targetVocabulary,
      ...(iterations !== undefined && { iterations }),
    });
    const isJoint = vocabularies.source === vocabularies.target;
    const lists = Array.from({ length: sourceVocabulary }, (_, token) => {
      const best = translations.best(token, perToken);
      return isJoint && perToken > 0 && !best.includes(token) ? [...best, token] : best;
    });
    const offsets = new Uint32Array(sourceVocabulary + 1);
    lists.forEach((list, token) => (offsets[token + 1] = offsets[token]! + list.length));
    const counts = new Uint32Array(targetVocabulary);
    for (const token of target.tokens) counts[token]!++;
    const frequent = Array.from(counts, (_, token) => token).sort((a, b) => counts[b]! - counts[a]! || a - b);
    return new Shortlist({
      common: Int32Array.from(new Set([...always, ...frequent.slice(0, common)])).sort(),
      offsets,
      tokens: Int32Array.from(lists.flat()),
      targetVocabulary,
      fingerprint: vocabularyFingerprint(vocabularies.source, vocabularies.target),
    });
  }

  /** What a source may be translated with, and `more`, ascending. */
  of(source: readonly number[], more: Iterable<number> = []): Int32Array {
    const { common, offsets, tokens } = this.contents;
    const round = ++this.#round;
    const list: number[] = [];
    const add = (token: number): void => {
      if (this.#marks[token] === round) return;
      this.#marks[token] = round;
      list.push(token);
    };
    common.forEach(add);
    for (const token of source) for (let at = offsets[token]!; at < offsets[token + 1]!; at++) add(tokens[at]!);
    for (const token of more) add(token);
    return Int32Array.from(list).sort();
  }
}
