// What a search knows of a model: hypotheses go in as rows, scored next tokens come out. A table of probabilities can
// stand behind it as well as a Transformer with key-value caches.

/** One step asked of a model: hypotheses as rows, `beams` rows a sentence, sentence-major. */
export interface Step {
  /**
   * Sentences still alive, ascending: indices into the batch that the stepper was started with, and beyond it those that have
   * joined. Whoever joins has a greater index than all before.
   */
  readonly sentences: Int32Array;
  /** Rows a sentence; rows = sentences.length × beams. It may change between steps: 1 where all begin, more after. */
  readonly beams: number;
  /** Last token of each row [rows]. */
  readonly tokens: Int32Array;
  /** Which row of the previous step each row continues [rows], −1 in sentences that join; ignored on the first step. */
  readonly parents: Int32Array;
}

/** The best next tokens of every row. */
export interface Candidates {
  /** Candidates a row, best first; of equal ones the lower token comes first. */
  readonly count: number;
  /** [rows, count] */
  readonly tokens: Int32Array;
  /** [rows, count] */
  readonly logProbabilities: Float32Array;
}

/** Where the rows of a step looked in their sources. */
export interface SourceAttention {
  /** Columns of `weights`. */
  readonly sourceTime: number;
  /** Source tokens of every sentence of the step, by its index; the columns beyond hold padding. */
  readonly lengths: Int32Array;
  /** [rows, sourceTime]; a row sums to 1. */
  readonly weights: Float32Array;
}

/**
 * A model that was started on a batch of sentences and now advances token by token. Exactly one of the first three methods
 * is called a step. The arrays of a `Step` belong to the search and are reused once the promise settles; an array that a
 * stepper returns belongs to the search until the next call, which may overwrite it.
 */
export interface Stepper {
  readonly sentences: number;
  readonly vocabularySize: number;
  /** Whether sentences may join between steps. */
  readonly letsJoin?: boolean;
  /** The `count` best next tokens of every row (count ≤ vocabularySize); top-k happens beside the model. */
  topCandidates(step: Step, count: number): Promise<Candidates>;
  /** Every token's log-probability [rows, vocabularySize], for searches that change scores before choosing. */
  logProbabilities(step: Step): Promise<Float32Array>;
  /**
   * The scores before the softmax [rows, vocabularySize]. Optional, as only one thing needs them: a repetition penalty in
   * greedy search or sampling that is to act on raw scores (see `Scale` in `search.ts`).
   */
  logits?(step: Step): Promise<Float32Array>;
  /** Where the step that was just scored looked. Optional, as only the coverage penalty needs it. */
  attention?(): SourceAttention;
}
