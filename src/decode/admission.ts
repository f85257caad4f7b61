// How sentences come into a search: all at once, or some later, into the places of those that have ended (continuous batching).
import { ConfigError } from "../base/index.ts";
import { minimumTokens } from "./processors/length.ts";
import type { ScoreProcessor } from "./processors/score-processor.ts";
import { checkCount, lengthsOf, promptsOf, type Hypothesis, type SearchOptions } from "./search.ts";
import type { Stepper } from "./stepper.ts";

/**
 * Says before each step how many more sentences are searched from now on, where `alive` are. They are the next ones in order.
 * With none alive it may wait until one comes; 0 then means that none will.
 */
export type Admission = (alive: number) => number | Promise<number>;

/** What searches that let sentences join are told besides. */
export interface JoiningOptions {
  /**
   * Lets sentences in; the stepper must be one that they can join. Without it the search has those that the stepper was started
   * with, from the first step on. Lists in other options may grow while the search runs: what they say of a sentence must
   * stand in them when it is let in.
   */
  readonly admit?: Admission;
}

/** A sentence whose search is over. */
export interface Ended {
  /** Its number, from 0, in the order in which sentences came. */
  readonly sentence: number;
  /** Best first. */
  readonly outputs: Hypothesis[];
}

/**
 * The free places, where enough of them are free for new sentences to join: a quarter. To join one by one would cost more than
 * it gives, as sources are read and what is remembered of the others moves each time.
 */
export function placesToFill(alive: number, places: number): number {
  const free = places - alive;
  return 4 * free >= places ? free : 0;
}

/**
 * So many sentences, searched `places` at a time.
 * @example
 * const outputs = await greedySearch(stepper, { start: 1, end: 2, maxTokens: 50, admit: inPlaces(300, 8) });
 */
export function inPlaces(sentences: number, places: number): Admission {
  checkCount("sentences", sentences, 0);
  checkCount("places", places, 1);
  let waiting = sentences;
  return (alive) => {
    const joining = Math.min(waiting, placesToFill(alive, places));
    waiting -= joining;
    return joining;
  };
}

/** Lets sentences into one search, and keeps what was said of each. */
export class Intake {
  /** Start tokens of all that were let in. */
  readonly prompts: (readonly number[])[] = [];
  /** The greatest length of each. */
  readonly most: number[] = [];
  readonly #stepper: Stepper;
  readonly #options: SearchOptions & JoiningOptions;
  readonly #admit: Admission;

  constructor(stepper: Stepper, options: SearchOptions & JoiningOptions) {
    this.#stepper = stepper;
    this.#options = options;
    const { admit, start, maxTokens, minTokens } = options;
    if (admit === undefined) {
      this.#admit = inPlaces(stepper.sentences, Math.max(1, stepper.sentences));
      // What is wrong with any of them is said before the model runs.
      promptsOf(stepper, start);
      lengthsOf(stepper, maxTokens, minTokens);
      return;
    }
    if (stepper.letsJoin !== true)
      throw new ConfigError(
        "admit",
        "this stepper has all its sentences from the start. Begin with one that lets more join.",
      );
    this.#admit = admit;
  }

  /** The processors, with the least lengths before them where there are any. */
  withMinimum(processors: readonly ScoreProcessor[] = [], ends: readonly number[]): readonly ScoreProcessor[] {
    const { minTokens = 0, admit } = this.#options;
    const isNone =
      typeof minTokens === "number" ? minTokens === 0 : admit === undefined && minTokens.every((n) => n === 0);
    return isNone ? processors : [minimumTokens(minTokens, ends), ...processors];
  }

  /** The sentences that join where `alive` are being searched. */
  async next(alive: number): Promise<readonly number[]> {
    const joining = await this.#admit(alive);
    const first = this.prompts.length;
    return Array.from({ length: joining }, (_, i) => this.#take(first + i));
  }

  #take(sentence: number): number {
    const { start, maxTokens, minTokens } = this.#options;
    const own = <Item>(place: string, given: number | readonly Item[]): number | readonly Item[] => {
      if (typeof given === "number") return given;
      if (sentence < given.length) return [given[sentence]!];
      throw new ConfigError(place, `nothing was said of sentence ${sentence} when it was let in.`);
    };
    const one = { sentences: 1, vocabularySize: this.#stepper.vocabularySize };
    this.prompts.push(promptsOf(one, own("start", start))[0]!);
    this.most.push(lengthsOf(one, own("maxTokens", maxTokens), own("minTokens", minTokens ?? 0)).most[0]!);
    return sentence;
  }
}

/** All outputs in the order of the sentences. */
export async function inOrder(steps: AsyncIterable<readonly Ended[]>): Promise<Hypothesis[][]> {
  const found: Hypothesis[][] = [];
  for await (const ended of steps) for (const { sentence, outputs } of ended) found[sentence] = outputs;
  return found;
}
