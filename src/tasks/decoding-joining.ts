// Lines that are decoded as they come, in one batch that they join as others leave it (continuous batching).
import {
  beamSampleEach,
  beamSearchEach,
  forcedPrefix,
  greedySearchEach,
  placesToFill,
  sampleEach,
  type Ended,
  type Hypothesis,
  type Stepper,
} from "../decode/index.ts";
import type { StepperOptions } from "../models/index.ts";
import {
  searchOptionsOf,
  stepperOptionsOf,
  type DecodeBatchOptions,
  type SentenceToDecode,
} from "./decoding-search.ts";

/** Lines are read ahead, and outputs kept until it is their turn, up to this many; and so many pass through one batch. */
const mostAtATime = 1024;

export interface SentenceFromIds extends SentenceToDecode {
  /** Of its source. */
  readonly ids: readonly number[];
}

export interface JoiningLines<Line> extends DecodeBatchOptions {
  readonly lines: AsyncIterable<Line> | Iterable<Line>;
  /** What is searched for line number `index`, counted from 0; undefined where there is nothing to search for. */
  sentenceOf(line: Line, index: number): SentenceFromIds | undefined;
  /** A stepper for sentences that join, see `TransformerDecoder.open`. */
  open(sourceOf: (sentence: number) => readonly number[], options: StepperOptions): Stepper;
}

/**
 * The outputs of every line in the order of the lines, each as soon as its own search and those of all lines before it are over, whether
 * or not more lines have come; undefined for lines of which nothing was searched. A batch holds as many sentences as
 * `batchTokens` gives places of the longest that is in it or waits.
 */
export async function* decodeJoining<Line>(options: JoiningLines<Line>): AsyncGenerator<Hypothesis[] | undefined> {
  const incoming = new Incoming(options);
  try {
    for (;;) {
      yield* incoming.inTurn();
      if (incoming.waiting.length === 0) {
        if (!(await incoming.wait())) return;
        continue;
      }
      for await (const { sentence, outputs } of searchWaiting(incoming, options)) {
        incoming.settle(sentence, outputs);
        yield* incoming.inTurn();
      }
    }
  } finally {
    incoming.close();
  }
}

/** One batch, from the lines that wait now until nobody is left in it. */
function searchWaiting<Line>(incoming: Incoming<Line>, options: JoiningLines<Line>): AsyncGenerator<Ended> {
  const { choices, open } = options;
  const { search, beams, earlyStopping, coveragePenalty, nbest, minLength, minLengthRatio } = choices;
  const sentences = incoming.begin();
  const start: (readonly number[])[] = [];
  const [maxTokens, minTokens, seed]: number[][] = [[], [], []];
  const prefixes: (readonly number[])[] = [];
  const admit = (alive: number): number => {
    const room = mostAtATime - sentences.length;
    const places = Math.max(1, Math.floor(choices.batchTokens / incoming.longest()));
    const joining = incoming.join(Math.min(room, placesToFill(alive, places)));
    for (const sentence of joining) {
      const own = searchOptionsOf([sentence], options);
      start.push((own.start as number[][])[0]!);
      maxTokens!.push((own.maxTokens as number[])[0]!);
      minTokens!.push((own.minTokens as number[])[0]!);
      prefixes.push(sentence.prefix);
      seed!.push(sentence.seed);
    }
    return joining.length;
  };
  const common = searchOptionsOf([], options);
  const told = {
    ...common,
    start,
    maxTokens: maxTokens!,
    minTokens: minLength > 0 || minLengthRatio !== undefined ? minTokens! : 0,
    processors: [...common.processors!, forcedPrefix(prefixes)],
    admit,
  };
  const stepper = open((sentence) => sentences[sentence]!.ids, {
    ...stepperOptionsOf(sentences, choices),
    // They come with their sentences.
    ...(choices.keepDropout && { dropoutSeeds: seed! }),
  });
  if (search === "sample") return sampleEach(stepper, { ...told, seed: seed! });
  if (beams === 1) return greedySearchEach(stepper, told);
  const ofBeams = { ...told, beams, earlyStopping, coveragePenalty, nbest };
  if (search === "beam-sample") return beamSampleEach(stepper, { ...ofBeams, seed: seed! });
  return beamSearchEach(stepper, ofBeams);
}

/** Reads lines ahead and puts outputs back into their order. */
class Incoming<Line> {
  readonly waiting: { readonly index: number; readonly sentence: SentenceFromIds }[] = [];
  readonly #options: JoiningLines<Line>;
  readonly #lines: AsyncIterator<Line> | Iterator<Line>;
  #next: Promise<void> | undefined;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;
  #read = 0;
  /** Outputs of lines whose turn has not come. */
  readonly #settled = new Map<number, Hypothesis[] | undefined>();
  #turn = 0;
  /** Of the present batch, by sentence. */
  #sentences: SentenceFromIds[] = [];
  #indices: number[] = [];
  /** Lengths of sources in the present batch. */
  readonly #alive = new Map<number, number>();

  constructor(options: JoiningLines<Line>) {
    this.#options = options;
    const { lines } = options;
    this.#lines = Symbol.asyncIterator in lines ? lines[Symbol.asyncIterator]() : lines[Symbol.iterator]();
    this.#readOn();
  }

  #readOn(): void {
    if (this.#next !== undefined || this.#isOver || this.waiting.length + this.#settled.size >= mostAtATime) return;
    this.#next = this.#readOne()
      .catch((error: unknown) => {
        this.#failure = { error };
        this.#isOver = true;
      })
      .finally(() => {
        this.#next = undefined;
        this.#readOn();
      });
  }

  async #readOne(): Promise<void> {
    const { done, value } = await this.#lines.next();
    if (done === true) {
      this.#isOver = true;
      return;
    }
    const index = this.#read++;
    const sentence = this.#options.sentenceOf(value, index);
    if (sentence === undefined) this.#settled.set(index, undefined);
    else this.waiting.push({ index, sentence });
  }

  /** Waits for a line and for those that come with it; false where no more come. What went wrong while reading is thrown. */
  async wait(): Promise<boolean> {
    this.#readOn();
    const before = this.#read;
    await this.#next;
    // One turn of the event loop, for those that are there already.
    await new Promise<void>((resolve) => void setTimeout(resolve, 0));
    if (this.#read > before) return true;
    if (this.#failure !== undefined) throw this.#failure.error;
    return !this.#isOver;
  }

  /** Begins a batch; its sentences, as they join. */
  begin(): readonly SentenceFromIds[] {
    [this.#sentences, this.#indices] = [[], []];
    return this.#sentences;
  }

  /** The longest source of those in the batch and those that wait. */
  longest(): number {
    const lengths = [...this.#alive.values(), ...this.waiting.map(({ sentence }) => sentence.ids.length)];
    return lengths.reduce((a, b) => Math.max(a, b), 1);
  }

  /** Takes up to `most` of those that wait into the batch. */
  join(most: number): SentenceFromIds[] {
    return this.waiting.splice(0, most).map(({ index, sentence }) => {
      this.#alive.set(this.#sentences.length, sentence.ids.length);
      this.#sentences.push(sentence);
      this.#indices.push(index);
      return sentence;
    });
  }

  settle(sentence: number, outputs: Hypothesis[]): void {
    this.#alive.delete(sentence);
    this.#settled.set(this.#indices[sentence]!, outputs);
  }

  /** The outputs whose turn it is. */
  *inTurn(): Generator<Hypothesis[] | undefined> {
    while (this.#settled.has(this.#turn)) {
      const outputs = this.#settled.get(this.#turn);
      this.#settled.delete(this.#turn++);
      yield outputs;
    }
    this.#readOn();
  }

  /** Reads no more. */
  close(): void {
    this.#isOver = true;
    void this.#lines.return?.();
  }
}
