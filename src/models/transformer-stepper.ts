// A trained model as search sees it: source read once, what tokens leave kept, one token a step.
import { allocate, elementCount, type HostTensor } from "../base/index.ts";
import type { Candidates, SourceAttention, Step, Stepper } from "../decode/index.ts";
import type { Wanted } from "./decoding-programs.ts";
import { KeyValueCache } from "./key-value-cache.ts";
import { checkListed, ListedOutputs } from "./listed-outputs.ts";
import { RowDropout } from "./row-dropout.ts";
import type { SourceAttentionChoice } from "./source-attention.ts";
import { SourceMemory, type LaterSources } from "./source-memory.ts";
import type { StepperOptions, StepPrograms } from "./step-programs.ts";

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
