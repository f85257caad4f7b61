// A trained model as search sees it: source read once, what tokens leave kept, one token a step.
import { allocate, ConfigError, elementCount, ShapeError, type HostTensor } from "../base/index.ts";
import type { Candidates, SourceAttention, Step, Stepper } from "../decode/index.ts";
import { compile, quantized, type Executable, type SessionOptions } from "../engine/index.ts";
import { sourceProgram, stepProgram, type StepOptions, type Wanted } from "./decoding-programs.ts";
import { isAdapterParameter } from "../nn/index.ts";
import { KeyValueCache } from "./key-value-cache.ts";
import { checkListed, ListedOutputs, listedRowsProgram, type TokenLists } from "./listed-outputs.ts";
import { randomInputs, withoutDropout, type Program } from "../tensor/index.ts";
import { readProgram, type Reader } from "./read-trace.ts";
import { RowDropout, withRowDropout } from "./row-dropout.ts";
import type { SequenceToSequence, Writer } from "./sequence-to-sequence.ts";
import { SourceMemory, type LaterSources } from "./source-memory.ts";
import { sourceAttention, type SourceAttentionChoice } from "./source-attention.ts";
import { StepTrace, type StreamReach } from "./step-trace.ts";

export interface StepProgramsOptions {
  /** Reads a text without end. */
  stream?: StreamReach;
  /**
   * "int8" rounds weights, and what they are multiplied with, to whole numbers of 8 bits: faster on processors that have products of
   * these, a little less exact, and no longer independent of what else is in the batch, which shares the rounding's step.
   */
  precision?: "float32" | "int8";
}

/** What steps do besides scoring tokens. */
export interface StepperOptions {
  /** They also show where they look in the source, by the attention of this layer and head; `{}` is the last layer's mean. */
  attention?: SourceAttentionChoice | undefined;
  /**
   * They drop values as in training, for variety or to see how sure a model is (Gal and Ghahramani 2016, "Dropout as a Bayesian
   * Approximation"; Shen et al. 2018, "Tacotron 2", section 2.3): a seed for each sentence, which with the number of the step
   * decides what is dropped, whatever else is in the batch. What reads the source drops nothing.
   */
  dropoutSeeds?: readonly number[] | undefined;
  /** They score listed tokens alone, and all others −∞: the softmax is over the list. */
  lists?: TokenLists | undefined;
}

/** Compiled steps of one model with its weights, shared by all batches that are written with it. */
export class StepPrograms<Model extends Writer = Writer> {
  readonly model: Model;
  readonly vocabularySize: number;
  /** What steps keep from one to the next, as one traced step asked for it. */
  readonly kept: StepTrace;
  /** Weights of adapters; they are fed at every run, so that others can take their place. */
  #adapter: Readonly<Record<string, HostTensor>>;
  readonly #stream: StreamReach | undefined;
  readonly #precision: "float32" | "int8";
  readonly #frozen: ReadonlyMap<string, HostTensor>;
  readonly #session: SessionOptions;
  readonly #compiled = new Map<string, Promise<Executable>>();

  /**
   * `weights` by parameter name; they are copied into the programs, but for those of
   * adapters, so later changes have no effect here.
   */
  constructor(
    model: Model,
    weights: ReadonlyMap<string, HostTensor>,
    session: SessionOptions = {},
    { stream, precision = "float32" }: StepProgramsOptions = {},
  ) {
    this.model = model;
    this.#precision = precision;
    this.#stream = stream;
    this.vocabularySize = model.outputLayer().table.shape[0] as number;
    const trace = new StepTrace(1, stream);
    model.step(trace);
    this.kept = trace;
    const entries = [...weights];
    this.#frozen = new Map(entries.filter(([name]) => !isAdapterParameter(name)));
    this.#adapter = Object.fromEntries(entries.filter(([name]) => isAdapterParameter(name)));
    this.#session = session;
  }

  /** Whether sentences may join while others are being written: not where a part counts places from the beginning. */
  get letsJoin(): boolean {
    return this.kept.bound.length === 0 && this.#stream === undefined;
  }

  get adapter(): Readonly<Record<string, HostTensor>> {
    return this.#adapter;
  }

  /**
   * Goes on with another adapter of the same kind and shape; nothing is compiled or loaded anew. `values` by parameter name, as
   * `loadAdapter` of heddle/hub gives them. Batches under way go on with it too.
   */
  swapAdapter(values: ReadonlyMap<string, HostTensor>): void {
    const [missing] = Object.keys(this.#adapter).filter((name) => !values.has(name));
    const [unknown] = [...values.keys()].filter((name) => !(name in this.#adapter));
    const stray = missing ?? unknown;
    if (stray !== undefined) {
      throw new ConfigError(
        "adapter",
        `"${stray}" is ${missing === undefined ? "not a parameter of this model's adapters" : "missing"}. Put adapters of the same kind on the model before it is compiled`,
      );
    }
    this.#adapter = Object.fromEntries(values);
  }

  protected program(key: string, build: () => Program): Promise<Executable> {
    let compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      compiled = this.#compile(build());
      this.#compiled.set(key, compiled);
    }
    return compiled;
  }

  async #compile(program: Program): Promise<Executable> {
    const options = { ...this.#session, frozen: this.#frozen };
    return compile(this.#precision === "int8" ? await quantized(program, options) : program, options);
  }

  /** The program of one step, compiled when it is first asked for. */
  step({ keepsDropout = false, ...options }: StepOptions & { keepsDropout?: boolean }): Promise<Executable> {
    const { wanted, beams, attention, isRagged = false, isListed = false } = options;
    const looks = attention === undefined ? "" : ` looks ${attention.layer ?? "last"}.${attention.head ?? "mean"}`;
    const kinds = [looks, keepsDropout ? " drops" : "", isRagged ? " ragged" : "", isListed ? " listed" : ""].join("");
    return this.program(`step ${wanted} ${beams}${kinds}`, () => {
      const program = stepProgram(this.model, { ...options, stream: this.#stream });
      return keepsDropout ? withRowDropout(program, beams) : withoutDropout(program);
    });
  }

  /** The program that gathers rows of the output layer. */
  listedRows(): Promise<Executable> {
    return this.program("listed rows", () => listedRowsProgram(this.model));
  }

  /** Refuses what the model's steps cannot do; `sentences` is how many there are where none join. */
  check({ attention, dropoutSeeds }: StepperOptions, sentences?: number): void {
    if (attention !== undefined) sourceAttention(this.kept, attention);
    if (dropoutSeeds === undefined) return;
    if (sentences !== undefined && dropoutSeeds.length !== sentences)
      throw new ConfigError("dropoutSeeds", `${dropoutSeeds.length} for ${sentences} sentences. Give one a sentence.`);
    const program = stepProgram(this.model, { wanted: "logits", beams: 1, stream: this.#stream });
    if (randomInputs(withRowDropout(program, 1)).length === 0)
      throw new ConfigError(
        "keepDropout",
        "this model was made without dropout, so there is none to keep. Leave it out.",
      );
  }

  async dispose(): Promise<void> {
    for (const compiled of this.#compiled.values()) await (await compiled).dispose();
    this.#compiled.clear();
  }
}

/** Writes targets of sources that it reads first. */
export class TransformerDecoder extends StepPrograms<SequenceToSequence> {
  /** Reads a batch of sources [sentences, sourceTime] and returns what a search needs to write their targets. */
  async start(sourceIds: HostTensor<"int32">, options: StepperOptions = {}): Promise<TransformerStepper> {
    const [sentences, sourceTime] = sourceIds.dims as readonly [number, number];
    this.check(options, sentences);
    const memory = await this.#read(sourceIds);
    const { pad } = this.model;
    const lengthOf = (sentence: number): number => {
      const own = sourceIds.data.subarray(sentence * sourceTime, (sentence + 1) * sourceTime);
      return own.reduce((count, id) => count + (id === pad ? 0 : 1), 0);
    };
    return new TransformerStepper(this, memory, sentences, { ...options, lengthOf });
  }

  /**
   * Writes targets of sources that come later: a sentence joins when a search's steps first name it, and `sourceOf` must then know
   * the ids of its source.
   * @example
   * const stepper = decoder.open((sentence) => sources[sentence]!);
   * const outputs = await beamSearch(stepper, { start: 1, end: 2, maxTokens: 50, admit: inPlaces(sources.length, 32) });
   */
  open(sourceOf: (sentence: number) => readonly number[], options: StepperOptions = {}): TransformerStepper {
    if (!this.letsJoin)
      throw new ConfigError(
        "model",
        `sentences cannot join a batch of this model under way: ${this.kept.bound.join(", ")} must know where a text began. Start with all sentences.`,
      );
    this.check(options);
    const lengthOf = (sentence: number): number => sourceOf(sentence).length;
    return new TransformerStepper(this, {}, 0, {
      ...options,
      lengthOf,
      sources: {
        read: (sentences) => {
          const sources = sentences.map(sourceOf);
          const time = Math.max(...sources.map(({ length }) => length));
          const data = new Int32Array(sources.length * time).fill(this.model.pad);
          sources.forEach((ids, row) => data.set(ids, row * time));
          return this.#read({ dtype: "int32", dims: [sources.length, time], data });
        },
        lengthOf,
      },
    });
  }

  async #read(sourceIds: HostTensor<"int32">): Promise<Record<string, HostTensor>> {
    const source = await this.program("source", () => withoutDropout(sourceProgram(this.model)));
    return source.run({ ...this.adapter, sourceIds });
  }
}

/**
 * Goes on writing where texts begin. With `stream` a text may go on for ever: memory and time a token stay as they are, for
 * models that are told of places within attention or not at all.
 * @example
 * const decoder = new LanguageModelDecoder(model, weights, {}, { stream: { sinks: 4, window: 1024 } });
 */
export class LanguageModelDecoder extends StepPrograms {
  /**
   * Reads the beginnings of texts, all of one length, up to their last token; a search goes on from that one, so its `start` is
   * the last token of each. Without a beginning the search's own start token is the first.
   */
  async start(
    beginnings: readonly (readonly number[])[],
    { dropoutSeeds }: Pick<StepperOptions, "dropoutSeeds"> = {},
  ): Promise<TransformerStepper> {
    const length = beginnings[0]?.length ?? 0;
    if (beginnings.some((tokens) => tokens.length !== length))
      throw new ShapeError("beginnings of one length are wanted in a batch; sort texts by their number of tokens");
    const sentences = beginnings.length;
    this.check({ dropoutSeeds }, sentences);
    // Which values are dropped is drawn step by step.
    const atOnce = dropoutSeeds === undefined ? this.#tokensAtOnce(length - 1) : 0;
    const { entries, ...states }: Readonly<Record<string, HostTensor>> =
      atOnce === 0 ? {} : await this.#readAtOnce(beginnings, atOnce);
    const stepper = new TransformerStepper(this, states, sentences, { dropoutSeeds });
    if (atOnce > 0) stepper.begin(atOnce, entries);
    const rows = Int32Array.from({ length: sentences }, (_, i) => i);
    for (let place = atOnce; place + 1 < length; place++)
      await stepper.read({
        sentences: rows,
        beams: 1,
        tokens: Int32Array.from(beginnings, (tokens) => tokens[place]!),
        parents: rows,
      });
    return stepper;
  }

  /** How many of so many tokens are read in one pass: where a text has no end, as many as stay in sight. */
  #tokensAtOnce(tokens: number): number {
    const { stream } = this.kept;
    const most = Math.min(tokens, stream === undefined ? Infinity : stream.sinks + stream.window - 1);
    return most >= fewTokens && isReader(this.model) && this.model.readsAtOnce ? most : 0;
  }

  async #readAtOnce(
    beginnings: readonly (readonly number[])[],
    tokens: number,
  ): Promise<Readonly<Record<string, HostTensor>>> {
    const program = await this.program("read", () =>
      withoutDropout(readProgram(this.model as Reader, this.kept.stream)),
    );
    const data = Int32Array.from(beginnings.flatMap((beginning) => beginning.slice(0, tokens)));
    return program.run({ ...this.adapter, ids: { dtype: "int32", dims: [beginnings.length, tokens], data } });
  }
}

/** Fewer tokens are read one by one: a program of its own would take longer to make than it saves. */
const fewTokens = 8;

function isReader(model: Writer): model is Reader {
  return "read" in model;
}

/** One batch being decoded. */
export class TransformerStepper implements Stepper {
  readonly sentences: number;
  readonly vocabularySize: number;
  readonly #decoder: StepPrograms;
  readonly letsJoin: boolean;
  readonly #sources: LaterSources | undefined;
  /** What the source program gave, for the sentences that the next step runs over. */
  readonly #memory: SourceMemory;
  readonly #cache: KeyValueCache;
  /** States of the rows of the last step, `state.…` by name. */
  #states: Readonly<Record<string, HostTensor>>;
  /** Which hypothesis of the cache each row of the last step was. */
  #hypotheses: Int32Array = new Int32Array(0);
  readonly #attention: SourceAttentionChoice | undefined;
  readonly #dropout: RowDropout | undefined;
  readonly #listed: ListedOutputs | undefined;
  /** Where the rows of the last step looked. */
  readonly attention?: () => SourceAttention;
  #looked: { readonly weights: HostTensor; readonly rowOf: Int32Array } | undefined;

  /** With `attention`, `lengthOf` says how many tokens a sentence's source has. */
  constructor(
    decoder: StepPrograms,
    memory: Readonly<Record<string, HostTensor>>,
    sentences: number,
    {
      attention,
      dropoutSeeds,
      lists,
      lengthOf,
      sources,
    }: StepperOptions & { lengthOf?: (sentence: number) => number; sources?: LaterSources } = {},
  ) {
    this.#sources = sources;
    this.letsJoin = sources !== undefined;
    this.#attention = attention;
    this.#dropout = dropoutSeeds && new RowDropout(dropoutSeeds);
    this.#listed = lists && new ListedOutputs(lists, decoder.vocabularySize);
    if (attention !== undefined && lengthOf !== undefined) this.attention = () => this.#attentionOf(lengthOf);
    const { caches } = decoder.kept;
    this.#decoder = decoder;
    this.sentences = sentences;
    this.vocabularySize = decoder.vocabularySize;
    this.#cache = new KeyValueCache({ layers: caches, batch: sentences });
    this.#memory = new SourceMemory(fixedIn(memory), sentences, decoder.kept.inputs);
    this.#states = this.#begun(memory, sentences);
  }

  /** Takes in what one pass over the first tokens left: [2 · layers · tokens, batch, heads, dHead]; states are given when it is made. */
  begin(tokens: number, entries: HostTensor | undefined): void {
    this.#cache.begin(tokens, entries?.data as Float32Array | undefined);
    this.#hypotheses = Int32Array.from({ length: this.sentences }, (_, i) => i);
  }

  /** What keys and values of all layers take up, room for the next tokens included. */
  get cacheBytes(): number {
    return this.#cache.bytes;
  }

  /** Takes tokens in without asking what comes next. */
  async read(step: Step): Promise<void> {
    await this.#run(step, 1);
  }

  async topCandidates(step: Step, count: number): Promise<Candidates> {
    const { scores, ids, rowOf, listed } = await this.#run(step, count);
    const rows = step.tokens.length;
    const tokens = new Int32Array(rows * count);
    const logProbabilities = new Float32Array(rows * count);
    const best = ids!.data as BigInt64Array;
    // Token ids fit in the low half of the runtime's 64-bit numbers.
    const low = new Int32Array(best.buffer, best.byteOffset, best.length * 2);
    for (let row = 0; row < rows; row++) {
      const from = rowOf[row]! * count;
      for (let i = 0; i < count; i++) {
        const id = low[2 * (from + i)]!;
        tokens[row * count + i] = listed === undefined ? id : listed.ids[id]!;
        logProbabilities[row * count + i] = scores[from + i]!;
      }
    }
    return { count, tokens, logProbabilities };
  }

  logProbabilities(step: Step): Promise<Float32Array> {
    return this.#scores(step, "logProbabilities");
  }

  logits(step: Step): Promise<Float32Array> {
    return this.#scores(step, "logits");
  }

  async #scores(step: Step, wanted: "logits" | "logProbabilities"): Promise<Float32Array> {
    const { scores, rowOf, listed } = await this.#run(step, wanted);
    const rows = step.tokens.length;
    if (listed !== undefined) return spreadOut(scores, listed.ids, rowOf, this.vocabularySize);
    if (rowOf.length * this.vocabularySize === scores.length && rowOf.every((at, row) => at === row)) return scores;
    const chosen = new Float32Array(rows * this.vocabularySize);
    for (let row = 0; row < rows; row++) {
      const from = rowOf[row]! * this.vocabularySize;
      chosen.set(scores.subarray(from, from + this.vocabularySize), row * this.vocabularySize);
    }
    return chosen;
  }

  /** Runs one step; `rowOf` says in which row of the results each row of the step is found. */
  async #run({ sentences, beams, tokens, parents }: Step, wanted: Wanted) {
    const joining = await this.#takeIn(sentences);
    const batch = this.#memory.sentences.length;
    const places = sentences.map((sentence) => this.#memory.sentences.indexOf(sentence));
    const hypotheses = Int32Array.from(tokens, (_, row) => places[Math.floor(row / beams)]! * beams + (row % beams));
    const { beams: beamsBefore, batch: batchBefore } = this.#cache;
    const from = this.#descend(hypotheses, parents, { batch, beams, joining });
    const { isRagged } = this.#cache;
    // The program's rows lie beam by beam.
    const rowOf = hypotheses.map((hypothesis) => (hypothesis % beams) * batch + Math.floor(hypothesis / beams));
    const given = new Int32Array(batch * beams);
    for (let row = 0; row < tokens.length; row++) given[rowOf[row]!] = tokens[row]!;
    const listed = await this.#listed?.of(
      this.#memory.sentences,
      () => this.#decoder.listedRows(),
      this.#decoder.adapter,
    );
    if (listed !== undefined && typeof wanted === "number") checkListed(wanted, listed);
    const isListed = listed !== undefined;
    const keepsDropout = this.#dropout !== undefined;
    const executable = await this.#decoder.step({
      wanted,
      beams,
      attention: this.#attention,
      keepsDropout,
      isRagged,
      isListed,
    });
    const wants = this.#decoder.kept.inputs;
    const { newEntries, scores, ids, attention, ...left } = await executable.run({
      ...this.#decoder.adapter,
      ...this.#memory.tensors,
      ...listed?.feeds,
      ...this.#cache.feeds(),
      ...this.#states,
      ...(wants.parents && {
        parents: {
          dtype: "int32",
          dims: [batch * beams],
          // Row by row of this step: the row of the last one that it continues.
          data: Int32Array.from({ length: batch * beams }, (_, row) => {
            const parent = from[(row % batch) * beams + Math.floor(row / batch)]!;
            // The states with which sentences join stand behind all others.
            if (parent < 0) return batchBefore * beamsBefore + (row % batch) - (batch - joining);
            return (parent % beamsBefore) * batchBefore + Math.floor(parent / beamsBefore);
          }),
        },
      }),
      ...this.#dropout?.feeds(executable.program, {
        sentences: this.#memory.sentences,
        beams,
        written: this.#cache.written,
      }),
      ...(wants.entryPositions && { entryPositions: this.#cache.entryPositions() }),
      tokens: { dtype: "int32", dims: [batch * beams], data: given },
      ...(wants.places && { places: this.#places() }),
      ...(wants.position && { position: { dtype: "int32", dims: [1], data: Int32Array.of(this.#cache.steps) } }),
    });
    this.#cache.append(newEntries?.data as Float32Array | undefined);
    this.#states = Object.fromEntries(
      Object.entries(left).map(([name, state]) => [name.replace("newState.", "state."), state]),
    );
    this.#looked = attention && { weights: attention, rowOf };
    return { scores: scores!.data as Float32Array, ids, rowOf, listed };
  }

  #attentionOf(lengthOf: (sentence: number) => number): SourceAttention {
    const { weights, rowOf } = this.#looked!;
    const { sentences } = this.#memory;
    const lengths = new Int32Array((sentences.at(-1) ?? -1) + 1);
    for (const sentence of sentences) lengths[sentence] = lengthOf(sentence);
    const sourceTime = weights.dims[1]!;
    const chosen = new Float32Array(rowOf.length * sourceTime);
    for (const [row, at] of rowOf.entries())
      chosen.set((weights.data as Float32Array).subarray(at * sourceTime, (at + 1) * sourceTime), row * sourceTime);
    return { sourceTime, lengths, weights: chosen };
  }

  /** Reads the sources of sentences that join, and drops those that have left where that pays; how many joined. */
  async #takeIn(sentences: Int32Array): Promise<number> {
    const { sentences: known } = this.#memory;
    const newest = known.at(-1) ?? -1;
    const joining = this.#sources === undefined ? [] : Array.from(sentences.filter((sentence) => sentence > newest));
    if (joining.length === 0) {
      if (sentences.length <= 0.75 * known.length) this.#memory.keep(sentences);
      return 0;
    }
    const { read, lengthOf } = this.#sources!;
    const memory = await read(joining);
    this.#memory.join(sentences, fixedIn(memory), Math.max(...[...sentences].map(lengthOf)));
    const begun = this.#begun(memory, joining.length);
    this.#states = Object.fromEntries(
      Object.entries(begun).map(([name, state]) => [name, oneAfterTheOther(this.#states[name]!, state)]),
    );
    return joining.length;
  }

  /** The states of sentences of which nothing is written yet. */
  #begun(memory: Readonly<Record<string, HostTensor>>, sentences: number): Record<string, HostTensor> {
    const states = [...this.#decoder.kept.states].map(([name, shape]): [string, HostTensor] => {
      const dims = [sentences, ...(shape as number[])];
      const zeros = (): HostTensor => ({ dtype: "float32", dims, data: allocate("float32", elementCount(dims)) });
      return [`state.${name}`, memory[`state.${name}`] ?? zeros()];
    });
    return Object.fromEntries(states);
  }

  /** How many tokens stand before each row's, beam by beam. */
  #places(): HostTensor<"int32"> {
    const { written, batch, beams } = this.#cache;
    const data = Int32Array.from({ length: batch * beams }, (_, row) => written[row % batch]!);
    return { dtype: "int32", dims: [data.length], data };
  }

  /**
   * Tells the cache which hypothesis each one continues, and gives them: none, −1, for those of the last sentences, which join; those of
   * sentences that have left stay as they are.
   */
  #descend(
    hypotheses: Int32Array,
    parents: Int32Array,
    { batch, beams, joining }: { batch: number; beams: number; joining: number },
  ): Int32Array {
    const before = this.#cache.beams;
    const from = Int32Array.from(
      { length: batch * beams },
      (_, i) => Math.floor(i / beams) * before + ((i % beams) % before),
    );
    // On the first step there is nothing to continue.
    if (this.#cache.steps > 0)
      for (let row = 0; row < hypotheses.length; row++)
        if (parents[row]! >= 0) from[hypotheses[row]!] = this.#hypotheses[parents[row]!]!;
    from.fill(-1, (batch - joining) * beams);
    this.#cache.descend(from, batch, beams);
    this.#hypotheses = hypotheses;
    return from;
  }
}

/** What stays as it is from step to step. */
function fixedIn(memory: Readonly<Record<string, HostTensor>>): Record<string, HostTensor> {
  return Object.fromEntries(Object.entries(memory).filter(([name]) => !name.startsWith("state.")));
}

function oneAfterTheOther(first: HostTensor, second: HostTensor): HostTensor {
  const data = allocate("float32", first.data.length + second.data.length);
  data.set(first.data as Float32Array);
  data.set(second.data as Float32Array, first.data.length);
  return { dtype: "float32", dims: [first.dims[0]! + second.dims[0]!, ...first.dims.slice(1)], data };
}

/** Scores [.., listed] of some rows as rows of the whole vocabulary, −∞ where a token is not listed. */
function spreadOut(scores: Float32Array, ids: Int32Array, rowOf: Int32Array, vocabularySize: number): Float32Array {
  const spread = new Float32Array(rowOf.length * vocabularySize).fill(-Infinity);
  for (const [row, at] of rowOf.entries())
    for (let i = 0; i < ids.length; i++) spread[row * vocabularySize + ids[i]!] = scores[at * ids.length + i]!;
  return spread;
}
