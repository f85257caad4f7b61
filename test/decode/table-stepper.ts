// A model without a model: next-token logits are a pure function of the sentence's key and the tokens so far.
import { mix32 } from "../../src/base/index.ts";
import type { Candidates, Step, Stepper } from "../../src/decode/index.ts";

export type Conditional = (key: number, tokens: readonly number[]) => number[];

/** Logits in about ±spread, drawn from a hash of everything before; `endBias` is added to token `end`. */
export function hashed({
  vocabularySize = 11,
  spread = 3,
  end = 0,
  endBias = 0,
  seed = 1,
}: {
  vocabularySize?: number;
  spread?: number;
  end?: number;
  endBias?: number;
  seed?: number;
} = {}): Conditional {
  return (key, tokens) => {
    let state = mix32(seed * 7919 + key);
    for (const token of tokens) state = mix32(state ^ mix32(token + 0x5bd1e995));
    return Array.from({ length: vocabularySize }, (_, token) => {
      const uniform = mix32(state ^ mix32(token + 12345)) / 2 ** 32;
      return (2 * uniform - 1) * spread + (token === end ? endBias : 0);
    });
  };
}

export function logSoftmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const total = largest + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - largest), 0));
  return logits.map((x) => x - total);
}

export interface TableStepperOptions {
  /** One key a sentence: same key, same sentence. */
  readonly keys: readonly number[];
  readonly conditional: Conditional;
  /** Tokens given before the first one fed. */
  readonly before?: readonly (readonly number[])[];
  /** Sentences join when a search lets them in, in place of all being there from the start. */
  readonly letsJoin?: boolean;
}

/** Holds searches to the contract of `Stepper` and counts what they ask for. */
export class TableStepper implements Stepper {
  readonly sentences: number;
  readonly vocabularySize: number;
  readonly letsJoin: boolean;
  readonly calls = { top: 0, all: 0, logits: 0, rows: 0, steps: 0 };
  /** The sentences alive at each step. */
  readonly alive: number[][] = [];
  readonly counts: number[] = [];
  readonly #options: TableStepperOptions;
  #rows: { sentence: number; tokens: number[] }[];
  #joined = 0;

  constructor(options: TableStepperOptions) {
    this.#options = options;
    this.letsJoin = options.letsJoin ?? false;
    this.sentences = this.letsJoin ? 0 : options.keys.length;
    this.vocabularySize = options.conditional(0, [0]).length;
    this.#rows = options.keys.map((_, sentence) => ({ sentence, tokens: [...(options.before?.[sentence] ?? [])] }));
  }

  async topCandidates(step: Step, count: number): Promise<Candidates> {
    this.calls.top++;
    this.counts.push(count);
    if (count > this.vocabularySize) throw new Error(`asked for ${count} of ${this.vocabularySize} tokens`);
    const rows = this.#advance(step).map((logits) => Float32Array.from(logSoftmax(logits)));
    const best = rows.map((row) =>
      Array.from(row, (_, token) => token)
        .sort((a, b) => row[b]! - row[a]! || a - b)
        .slice(0, count),
    );
    return {
      count,
      tokens: Int32Array.from(best.flat()),
      logProbabilities: Float32Array.from(best.flatMap((tokens, row) => tokens.map((token) => rows[row]![token]!))),
    };
  }

  async logProbabilities(step: Step): Promise<Float32Array> {
    this.calls.all++;
    return Float32Array.from(this.#advance(step).flatMap(logSoftmax));
  }

  async logits(step: Step): Promise<Float32Array> {
    this.calls.logits++;
    return Float32Array.from(this.#advance(step).flat());
  }

  #advance(step: Step): number[][] {
    const isFirst = this.calls.steps++ === 0;
    const size = step.sentences.length * step.beams;
    if (step.tokens.length !== size || step.parents.length !== size)
      throw new Error("a step's arrays must have its rows");
    const alive = [...step.sentences];
    if (alive.some((sentence, i) => i > 0 && sentence <= alive[i - 1]!)) throw new Error("sentences must ascend");
    const joinedBefore = this.#joined;
    this.alive.push(alive);
    this.calls.rows += size;
    this.#rows = Array.from(step.tokens, (token, row) => {
      const sentence = alive[Math.floor(row / step.beams)]!;
      if (this.letsJoin && (isFirst || step.parents[row] === -1)) {
        if (sentence < joinedBefore) throw new Error(`sentence ${sentence} joins a second time`);
        this.#joined = Math.max(this.#joined, sentence + 1);
        return { sentence, tokens: [...(this.#options.before?.[sentence] ?? []), token] };
      }
      const parent = this.#rows[isFirst ? sentence : step.parents[row]!];
      if (parent?.sentence !== sentence) throw new Error(`row ${row} continues another sentence's row`);
      return { sentence, tokens: [...parent.tokens, token] };
    });
    return this.#rows.map(({ sentence, tokens }) => this.#options.conditional(this.#options.keys[sentence]!, tokens));
  }
}
