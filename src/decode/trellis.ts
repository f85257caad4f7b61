// Hypotheses as paths in a tree: a node is a token and the node before it, so that extending a beam copies nothing.
import type { Ending, Hypothesis } from "./search.ts";

/** A hypothesis so far, as a score processor sees it. Valid only during the call. */
export interface Prefix {
  /** Index of the sentence in the batch. */
  readonly sentence: number;
  /** Tokens generated so far, the start not counted. */
  readonly generated: number;
  /** Tokens so far, start included: tokens.length − generated of them were given. */
  readonly length: number;
  /** All tokens, the start first [length]. Read off the tree when first asked for. */
  readonly tokens: Int32Array;
}

/** The hypothesis that a row of a step continues; undefined where the row only fills its place. */
export type PrefixOf = (row: number) => Prefix | undefined;

/** What is known of a hypothesis that has ended, besides its tokens. */
export interface EndedHypothesis {
  readonly score: number;
  readonly logProbability: number;
  readonly ending: Ending;
}

/** The tree of everything a search has generated. Node −1 is the start. */
export class Trellis {
  readonly #prompts: readonly (readonly number[])[];
  #token = new Int32Array(1024);
  #previous = new Int32Array(1024);
  /** Σ log p from the start to each node. */
  #sum = new Float64Array(1024);
  #size = 0;
  readonly #prefix: TreePrefix;

  constructor(prompts: readonly (readonly number[])[]) {
    this.#prompts = prompts;
    this.#prefix = new TreePrefix(this);
  }

  /** Appends a token after a node, with the log-probability of all from the start to it; the new node. */
  add(token: number, previous: number, sum: number): number {
    if (this.#size === this.#token.length) {
      this.#token = grown(this.#token);
      this.#previous = grown(this.#previous);
      const sums = new Float64Array(this.#size * 2);
      sums.set(this.#sum);
      this.#sum = sums;
    }
    this.#token[this.#size] = token;
    this.#previous[this.#size] = previous;
    this.#sum[this.#size] = sum;
    return this.#size++;
  }

  /** The sentence's hypothesis that ends at this node. One object is reused for all. */
  prefix(sentence: number, node: number, generated: number): Prefix {
    return this.#prefix.at(this.#prompts[sentence]!, sentence, node, generated);
  }

  /** The generated tokens on the path to this node. */
  read(node: number): number[] {
    const tokens: number[] = [];
    for (let at = node; at >= 0; at = this.#previous[at]!) tokens.push(this.#token[at]!);
    return tokens.reverse();
  }

  tokenAt(node: number): number {
    return this.#token[node]!;
  }

  /** The log-probability of all from the start to this node. */
  sumAt(node: number): number {
    return node < 0 ? 0 : this.#sum[node]!;
  }

  /** The hypothesis whose last token, END apart, is this node. */
  hypothesis(node: number, ended: EndedHypothesis): Hypothesis {
    const { logProbability, score, ending } = ended;
    const steps = ending === "end" ? [logProbability - this.sumAt(node)] : [];
    for (let at = node; at >= 0; at = this.#previous[at]!) steps.push(this.#sum[at]! - this.sumAt(this.#previous[at]!));
    return {
      tokens: this.read(node),
      score,
      logProbability,
      tokenLogProbabilities: steps.reverse(),
      finished: ending !== "cut",
    };
  }

  /** Writes the path to this node so that it ends before `end`. */
  write(node: number, into: Int32Array, end: number): void {
    for (let at = node; at >= 0; at = this.#previous[at]!) into[--end] = this.#token[at]!;
  }
}

class TreePrefix implements Prefix {
  readonly #trellis: Trellis;
  #prompt: readonly number[] = [];
  #node = -1;
  #buffer = new Int32Array(64);
  #tokens: Int32Array | undefined;
  sentence = 0;
  generated = 0;

  constructor(trellis: Trellis) {
    this.#trellis = trellis;
  }

  at(prompt: readonly number[], sentence: number, node: number, generated: number): this {
    this.#prompt = prompt;
    this.#node = node;
    this.#tokens = undefined;
    this.sentence = sentence;
    this.generated = generated;
    return this;
  }

  get length(): number {
    return this.#prompt.length + this.generated;
  }

  get tokens(): Int32Array {
    if (this.#tokens !== undefined) return this.#tokens;
    const length = this.length;
    while (this.#buffer.length < length) this.#buffer = grown(this.#buffer);
    this.#buffer.set(this.#prompt);
    this.#trellis.write(this.#node, this.#buffer, length);
    this.#tokens = this.#buffer.subarray(0, length);
    return this.#tokens;
  }
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
