// Steps of searches whose sentences keep unlike numbers of open hypotheses.
import type { Step } from "./stepper.ts";
import type { Trellis } from "./trellis.ts";

/** An open hypothesis: its last node, and the row of the last step that it continues. */
export interface OpenRow {
  readonly node: number;
  readonly row: number;
}

/** Collects what goes on of a step and makes the next one, in which every sentence has as many rows. */
export class RaggedBeam {
  /** The step to ask the model for. */
  step: Step;
  readonly #trellis: Trellis;
  readonly #beams: number;
  #sentences: number[] = [];
  #tokens: number[] = [];
  #parents: number[] = [];

  /** Begins with one row a sentence, the last token of its prompt. */
  constructor(trellis: Trellis, prompts: readonly (readonly number[])[], beams: number) {
    this.#trellis = trellis;
    this.#beams = beams;
    const sentences = Int32Array.from(prompts, (_, sentence) => sentence);
    const tokens = Int32Array.from(prompts, (prompt) => prompt.at(-1)!);
    this.step = { sentences, beams: 1, tokens, parents: sentences };
  }

  /** Goes on with a sentence that has at least one open hypothesis; rows left over are copies that nobody looks at. */
  goOn(sentence: number, open: readonly OpenRow[]): void {
    this.#sentences.push(sentence);
    for (let i = 0; i < this.#beams; i++) {
      const { node, row } = open[i] ?? open[0]!;
      this.#tokens.push(this.#trellis.tokenAt(node));
      this.#parents.push(row);
    }
  }

  /** Takes the collected rows for the next step. */
  advance(): void {
    this.step = {
      sentences: Int32Array.from(this.#sentences),
      beams: this.#beams,
      tokens: Int32Array.from(this.#tokens),
      parents: Int32Array.from(this.#parents),
    };
    [this.#sentences, this.#tokens, this.#parents] = [[], [], []];
  }
}
