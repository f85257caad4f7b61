// Which target token translates which source token, learnt from sentence pairs alone.
import { ConfigError } from "../base/index.ts";
import { GrowingInts, type TokenRows } from "./token-rows.ts";

export interface LearnTranslationsOptions {
  source: TokenRows;
  target: TokenRows;
  sourceVocabulary: number;
  targetVocabulary: number;
  /** Passes of expectation maximization. */
  iterations?: number;
}

/** t(target | source) of the tokens that stood in a pair together. */
export class WordTranslations {
  /** What each source token may become: those of token s are offsets[s] … offsets[s + 1]. The last is no token: the empty word. */
  readonly #offsets: Uint32Array;
  readonly #tokens: Int32Array;
  readonly #probabilities: Float32Array;

  constructor(offsets: Uint32Array, tokens: Int32Array, probabilities: Float32Array) {
    this.#offsets = offsets;
    this.#tokens = tokens;
    this.#probabilities = probabilities;
  }

  /** t(target | source); 0 of two that never stood in a pair together. */
  probability(source: number, target: number): number {
    for (let at = this.#offsets[source]!; at < this.#offsets[source + 1]!; at++)
      if (this.#tokens[at] === target) return this.#probabilities[at]!;
    return 0;
  }

  /** The likeliest translations of a token, best first, at most `count`. */
  best(source: number, count: number): number[] {
    const [from, to] = [this.#offsets[source]!, this.#offsets[source + 1]!];
    const places = Array.from({ length: to - from }, (_, i) => from + i);
    places.sort((a, b) => this.#probabilities[b]! - this.#probabilities[a]! || this.#tokens[a]! - this.#tokens[b]!);
    return places.slice(0, count).map((at) => this.#tokens[at]!);
  }
}

/**
 * Learns t(target | source) by expectation maximization, every place of the target made by one place of the source or by the
 * empty word, each as likely as the other: model 1 of Brown et al. 1993, "The Mathematics of Statistical Machine Translation",
 * section 4.2. Time grows with Σ source length × target length, memory with the pairs of tokens that stand together somewhere.
 * @example
 * const pairs = await encodePairs(corpus, { source: tokenizer, target: tokenizer });
 * const { vocabularySize: size } = tokenizer;
 * const table = learnTranslations({ ...pairs, sourceVocabulary: size, targetVocabulary: size });
 * console.log(table.best(tokenizer.idOf("▁dog")!, 3).map((id) => tokenizer.tokenOf(id)));
 */
export function learnTranslations({
  source,
  target,
  sourceVocabulary,
  targetVocabulary,
  iterations = 5,
}: LearnTranslationsOptions): WordTranslations {
  if (source.count !== target.count)
    throw new ConfigError("target", `${target.count} sentences for ${source.count} sources. Give one a source.`);
  // The empty word stands once in every source.
  const empty = sourceVocabulary;
  const { starts, sentences } = occurrences(source, empty);
  const { offsets, tokens } = together({ starts, sentences, target, targetVocabulary });
  // Before the first pass all are alike.
  const probabilities = new Float32Array(tokens.length).fill(1);
  // t(· | s), and what is counted for it, spread out over the vocabulary while s is looked at.
  const [spread, counts] = [new Float32Array(targetVocabulary), new Float32Array(targetVocabulary)];
  // Σ over the source's tokens of t(target token | source token), for each place of every target.
  const sums = new Float64Array(target.tokens.length);
  for (let pass = 0; pass < iterations; pass++) {
    sums.fill(0);
    for (const isCounting of [false, true]) {
      for (let s = 0; s <= empty; s++) {
        const [from, to] = [offsets[s]!, offsets[s + 1]!];
        for (let at = from; at < to; at++) {
          spread[tokens[at]!] = probabilities[at]!;
          counts[tokens[at]!] = 0;
        }
        for (let i = starts[s]!; i < starts[s + 1]!; i++) {
          const sentence = sentences[i]!;
          const last = target.offsets[sentence + 1]!;
          for (let place = target.offsets[sentence]!; place < last; place++) {
            const token = target.tokens[place]!;
            if (isCounting) counts[token]! += spread[token]! / sums[place]!;
            else sums[place]! += spread[token]!;
          }
        }
        if (!isCounting) continue;
        let total = 0;
        for (let at = from; at < to; at++) total += counts[tokens[at]!]!;
        for (let at = from; at < to; at++) probabilities[at] = counts[tokens[at]!]! / total;
      }
    }
  }
  return new WordTranslations(offsets, tokens, probabilities);
}

/** In which sentences each source token stands, as often as it does: those of s are starts[s] … starts[s + 1]. */
function occurrences(source: TokenRows, empty: number): { starts: Uint32Array; sentences: Int32Array } {
  const starts = new Uint32Array(empty + 2);
  for (const token of source.tokens) starts[token + 1]!++;
  starts[empty + 1] = source.count;
  for (let token = 0; token <= empty; token++) starts[token + 1]! += starts[token]!;
  const next = starts.slice();
  const sentences = new Int32Array(source.tokens.length + source.count);
  for (let sentence = 0; sentence < source.count; sentence++) {
    for (const token of source.row(sentence)) sentences[next[token]!++] = sentence;
    sentences[next[empty]!++] = sentence;
  }
  return { starts, sentences };
}

/** Which target tokens stand in a pair with each source token. */
function together({
  starts,
  sentences,
  target,
  targetVocabulary,
}: {
  starts: Uint32Array;
  sentences: Int32Array;
  target: TokenRows;
  targetVocabulary: number;
}): { offsets: Uint32Array; tokens: Int32Array } {
  const offsets = new Uint32Array(starts.length);
  const tokens = new GrowingInts();
  const seenBy = new Int32Array(targetVocabulary).fill(-1);
  for (let s = 0; s + 1 < starts.length; s++) {
    for (let i = starts[s]!; i < starts[s + 1]!; i++) {
      for (const token of target.row(sentences[i]!)) {
        if (seenBy[token] === s) continue;
        seenBy[token] = s;
        tokens.push(token);
      }
    }
    offsets[s + 1] = tokens.length;
  }
  return { offsets, tokens: tokens.toArray() };
}
