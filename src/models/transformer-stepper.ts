// A trained Transformer as search sees it: source read once, keys and values kept, one token a step.
import { allocate, type HostTensor } from "../base/index.ts";
import type { Candidates, Step, Stepper } from "../decode/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import { sourceProgram, stepProgram, type StepOptions, type Wanted } from "./decoding-programs.ts";
import { withoutDropout } from "../tensor/index.ts";
import type { Transformer } from "./transformer.ts";

/** Compiled programs of one model with its weights, shared by all batches that are decoded with it. */
export class TransformerDecoder {
  readonly model: Transformer;
  readonly #weights: ReadonlyMap<string, HostTensor>;
  readonly #session: SessionOptions;
  readonly #compiled = new Map<string, Promise<Executable>>();

  /** `weights` by parameter name; they are copied into the programs, so later changes have no effect here. */
  constructor(model: Transformer, weights: ReadonlyMap<string, HostTensor>, session: SessionOptions = {}) {
    this.model = model;
    this.#weights = weights;
    this.#session = session;
  }

  #program(key: string, build: () => ReturnType<typeof sourceProgram>): Promise<Executable> {
    let compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      compiled = compile(withoutDropout(build()), { ...this.#session, frozen: this.#weights });
      this.#compiled.set(key, compiled);
    }
    return compiled;
  }

  /** The program of one step, compiled when it is first asked for. */
  step(options: StepOptions): Promise<Executable> {
    return this.#program(`step ${options.wanted} ${options.beams}`, () => stepProgram(this.model, options));
  }

  /** Reads a batch of sources [sentences, sourceTime] and returns what a search needs to write their targets. */
  async start(sourceIds: HostTensor<"int32">): Promise<TransformerStepper> {
    const source = await this.#program("source", () => sourceProgram(this.model));
    return new TransformerStepper(this, await source.run({ sourceIds }), sourceIds.dims[0]!);
  }

  async dispose(): Promise<void> {
    for (const compiled of this.#compiled.values()) await (await compiled).dispose();
    this.#compiled.clear();
  }
}

/** One batch being decoded. */
export class TransformerStepper implements Stepper {
  readonly sentences: number;
  readonly vocabularySize: number;
  readonly #decoder: TransformerDecoder;
  readonly #dModel: number;
  readonly #layers: number;
  /** What the source program gave, for the sentences that the next step runs over. */
  #memory: Readonly<Record<string, HostTensor>>;
  /** The sentences in `#memory`, ascending; those that have left since cost time until it is compacted. */
  #inMemory: Int32Array;
  #past = 0;
  #slots = 0;
  #cache = new Float32Array(0);
  /** [rows, capacity]: where each hypothesis left its keys and values, step by step. */
  #ancestry = new Int32Array(0);
  #ancestryStride = 0;
  #rowsBefore = 0;

  constructor(decoder: TransformerDecoder, memory: Readonly<Record<string, HostTensor>>, sentences: number) {
    const { model } = decoder;
    this.#decoder = decoder;
    this.#memory = memory;
    this.sentences = sentences;
    this.vocabularySize = model.output.table.shape[0]!;
    this.#dModel = model.options.dModel;
    this.#layers = model.decoder.layers.length;
    this.#inMemory = Int32Array.from({ length: sentences }, (_, i) => i);
  }

  async topCandidates(step: Step, count: number): Promise<Candidates> {
    const { scores, ids, rowOf } = await this.#run(step, count);
    const rows = step.tokens.length;
    const tokens = new Int32Array(rows * count);
    const logProbabilities = new Float32Array(rows * count);
    const best = ids!.data as BigInt64Array;
    // Token ids fit in the low half of the runtime's 64-bit numbers.
    const low = new Int32Array(best.buffer, best.byteOffset, best.length * 2);
    for (let row = 0; row < rows; row++) {
      const from = rowOf[row]! * count;
      for (let i = 0; i < count; i++) {
        tokens[row * count + i] = low[2 * (from + i)]!;
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
    const { scores, rowOf } = await this.#run(step, wanted);
    const rows = step.tokens.length;
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
    if (sentences.length <= 0.75 * this.#inMemory.length) this.#compact(sentences);
    const places = sentences.map((sentence) => this.#inMemory.indexOf(sentence));
    const rowOf = Int32Array.from(tokens, (_, row) => places[Math.floor(row / beams)]! * beams + (row % beams));
    const rows = this.#inMemory.length * beams;
    this.#reserve(rows);

    const past = this.#past;
    const ancestry = new Int32Array(rows * past);
    const given = new Int32Array(rows);
    for (let row = 0; row < tokens.length; row++) {
      given[rowOf[row]!] = tokens[row]!;
      // Rows of `parents` count the rows of the step before as the search saw them; see `#remember`.
      const from = (past === 0 ? 0 : parents[row]!) * this.#ancestryStride;
      ancestry.set(this.#ancestry.subarray(from, from + past), rowOf[row]! * past);
    }
    const executable = await this.#decoder.step({ wanted, beams });
    const batch = this.#inMemory.length;
    const { cacheRows, scores, ids } = await executable.run({
      ...this.#memory,
      tokens: { dtype: "int32", dims: [batch, beams], data: given },
      position: { dtype: "int32", dims: [1], data: Int32Array.of(past) },
      slots: { dtype: "int32", dims: [1], data: Int32Array.of(this.#slots) },
      ancestry: { dtype: "int32", dims: [rows, past], data: ancestry },
      cache: this.#cacheTensor(past),
    });
    this.#remember(cacheRows!.data as Float32Array, rows, rowOf, ancestry);
    return { scores: scores!.data as Float32Array, ids, rowOf };
  }

  #cacheTensor(past: number): HostTensor<"float32"> {
    const entries = past * this.#layers * this.#slots * 2;
    return { dtype: "float32", dims: [entries, this.#dModel], data: this.#cache.subarray(0, entries * this.#dModel) };
  }

  /** Appends this step's keys and values [layers, rows, 2 · dModel] and each hypothesis' place among them. */
  #remember(cacheRows: Float32Array, rows: number, rowOf: Int32Array, ancestry: Int32Array): void {
    const width = 2 * this.#dModel;
    const past = this.#past;
    for (let layer = 0; layer < this.#layers; layer++) {
      const at = (past * this.#layers + layer) * this.#slots * width;
      this.#cache.set(cacheRows.subarray(layer * rows * width, (layer + 1) * rows * width), at);
    }
    // The next step's parents count the rows of this step as the search laid them out.
    for (let row = 0; row < rowOf.length; row++) {
      const to = row * this.#ancestryStride;
      this.#ancestry.set(ancestry.subarray(rowOf[row]! * past, (rowOf[row]! + 1) * past), to);
      this.#ancestry[to + past] = past * this.#layers * this.#slots + rowOf[row]!;
    }
    this.#rowsBefore = rowOf.length;
    this.#past = past + 1;
  }

  /** Makes room for one more step of `rows` hypotheses, keeping what is stored. */
  #reserve(rows: number): void {
    const width = 2 * this.#dModel;
    if (rows > this.#slots) {
      // More slots a step move every stored block; this happens once, when one row a sentence becomes a beam.
      const wider = new Float32Array(Math.max(16, 2 * this.#past) * this.#layers * rows * width);
      for (let block = 0; block < this.#past * this.#layers; block++) {
        wider.set(
          this.#cache.subarray(block * this.#slots * width, (block + 1) * this.#slots * width),
          block * rows * width,
        );
      }
      for (let row = 0; row < this.#rowsBefore; row++) {
        for (let t = 0; t < this.#past; t++) {
          const at = row * this.#ancestryStride + t;
          this.#ancestry[at] = this.#ancestry[at]! + t * this.#layers * (rows - this.#slots);
        }
      }
      this.#cache = wider;
      this.#slots = rows;
    }
    const needed = (this.#past + 1) * this.#layers * this.#slots * width;
    if (needed > this.#cache.length) {
      const longer = new Float32Array(2 * needed);
      longer.set(this.#cache);
      this.#cache = longer;
    }
    const capacity = this.#past + 1;
    if (capacity > this.#ancestryStride || this.#slots * this.#ancestryStride > this.#ancestry.length) {
      const stride = capacity > this.#ancestryStride ? Math.max(32, 2 * capacity) : this.#ancestryStride;
      const grown = new Int32Array(Math.max(this.#slots, this.#rowsBefore) * stride);
      for (let row = 0; row < this.#rowsBefore; row++) {
        grown.set(
          this.#ancestry.subarray(row * this.#ancestryStride, row * this.#ancestryStride + this.#past),
          row * stride,
        );
      }
      this.#ancestry = grown;
      this.#ancestryStride = stride;
    }
  }

  /** Drops the sentences that have left from what the source program gave. */
  #compact(sentences: Int32Array): void {
    const places = sentences.map((sentence) => this.#inMemory.indexOf(sentence));
    this.#memory = Object.fromEntries(
      Object.entries(this.#memory).map(([name, { dims, data }]) => {
        const size = data.length / dims[0]!;
        const kept = allocate("float32", places.length * size);
        places.forEach((from, to) =>
          kept.set((data as Float32Array).subarray(from * size, (from + 1) * size), to * size),
        );
        return [name, { dtype: "float32", dims: [places.length, ...dims.slice(1)], data: kept }];
      }),
    );
    this.#inMemory = sentences.slice();
  }
}
