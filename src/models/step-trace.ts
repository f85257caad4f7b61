// One token of decoding as it is traced: what goes in, what earlier steps left, and what this one leaves.
import { ShapeError, type DType } from "../base/index.ts";
import { addDims, concat, dim, gather, input, mulDims, type Dim, type Shape, type Tensor } from "../tensor/index.ts";
import type { KeyValue } from "../nn/index.ts";
import type { Writer } from "./sequence-to-sequence.ts";

/** What one layer keeps of every token, in keys and in values. */
export interface CacheShape {
  readonly heads: number;
  readonly dHead: number;
  /** What the layer can still see; absent: everything. */
  readonly reach?: { readonly sinks: number; readonly window: number } | undefined;
}

/** How a text without end is read: what stays in sight is the first `sinks` tokens and the last `window`. */
export interface StreamReach {
  readonly sinks: number;
  readonly window: number;
}

/**
 * A model's step asks here for its inputs and leaves here what the next step wants. `batch` sentences with `beams` hypotheses
 * each; rows = beams · batch, beam by beam.
 */
export class StepTrace {
  readonly beams: number;
  /**
   * Where a text without end is read: places are counted within the cache, so they never grow beyond what the model has seen
   * (Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks", section 3.2).
   */
  readonly stream: StreamReach | undefined;
  readonly batch: Dim = dim("batch");
  /** Earlier entries of the caches, `beams` a step. */
  readonly entries: Dim = dim("entries");
  readonly rows: Dim;
  /** The last token of each row: int32 [rows]. */
  readonly tokens: Tensor;
  /**
   * How many steps there were before it: int32 [1]. Where sentences join, theirs did not begin at 0: whoever reads this must go by
   * distances alone, or say so with `countsPlaces`. Where no sentence joins it is the number of tokens before this one.
   */
  readonly position: Tensor;
  readonly inputs: Record<string, Tensor>;
  /** Keys and values of this token, layer by layer: [beams, batch, heads, dHead]. */
  readonly newEntries: Tensor[] = [];
  /** Of each layer that keeps keys and values, in the order they were asked for. */
  readonly caches: CacheShape[] = [];
  /** Shapes without the axis of rows. */
  readonly states = new Map<string, Shape>();
  readonly newStates: Record<string, Tensor> = {};
  /** What each layer that looks at the source asks it, scaled by 1/√dHead: [batch, heads, beams, dHead]. */
  readonly asked: Tensor[] = [];
  /** Where each layer that looks at the source looked: [batch, heads, beams, sourceTime]. */
  readonly looked: Tensor[] = [];

  /** What keeps sentences from joining a batch under way: the parts that must know where a text began. */
  readonly bound: string[] = [];
  readonly #isRagged: boolean;

  /** `isRagged`: some sentences joined later than others, so that not all see all entries. */
  constructor(beams: number, stream?: StreamReach, isRagged = false) {
    this.#isRagged = isRagged;
    if (stream !== undefined && beams !== 1)
      throw new ShapeError(`a text without end is read by one hypothesis, got ${beams} beams`);
    this.beams = beams;
    this.stream = stream;
    this.rows = mulDims(this.batch, beams);
    this.tokens = input("tokens", "int32", [this.rows]);
    this.position = input("position", "int32", [1]);
    this.inputs = { tokens: this.tokens, position: this.position };
  }

  /** How many tokens of its own text stand before each row's: int32 [rows]. */
  get places(): Tensor {
    return this.given("places", "int32", [this.rows]);
  }

  /** A part says that it counts places from the beginning of the batch, so that none may join later. */
  countsPlaces(part: string): void {
    if (!this.bound.includes(part)) this.bound.push(part);
  }

  /** An input of the step by name, made when it is first asked for. */
  given(name: string, dtype: DType, shape: Shape): Tensor {
    return (this.inputs[name] ??= input(name, dtype, shape));
  }

  /** Puts this token's key and value [beams, batch, heads, dHead] behind the earlier ones: [entries + beams, batch, heads, dHead]. */
  remember({ key, value }: KeyValue, shape: CacheShape): KeyValue {
    const layer = this.caches.length;
    const { heads, dHead } = shape;
    this.caches.push(this.stream === undefined ? shape : { ...shape, reach: this.stream });
    this.newEntries.push(key, value);
    const past = (name: string): Tensor =>
      this.given(`${name}.${layer}`, "float32", [this.entries, this.batch, heads, dHead]);
    return { key: concat([past("pastKey"), key], 0), value: concat([past("pastValue"), value], 0) };
  }

  /**
   * 0 for the entries that a hypothesis descends from and large and negative elsewhere: [batch, 1, beams, entries + beams], so
   * reordering beams moves nothing. With one beam every entry is its own, but for those from before a sentence joined.
   */
  get visible(): Tensor | undefined {
    if (this.beams === 1 && !this.#isRagged) return undefined;
    return this.given("visible", "float32", [this.batch, 1, this.beams, addDims(this.entries, this.beams)]);
  }

  /** Where each entry, this token's included, stands: int32 [entries + beams]. */
  get entryPositions(): Tensor {
    return this.given("entryPositions", "int32", [addDims(this.entries, this.beams)]);
  }

  /** What an earlier step (or the source) left under this name, for each row that of the row it continues: [rows, ..shape]. */
  state(name: string, shape: Shape): Tensor {
    this.states.set(name, shape);
    const parents = this.given("parents", "int32", [this.rows]);
    return gather(this.given(`state.${name}`, "float32", [dim("parentRows"), ...shape]), parents);
  }

  /** Leaves a state for the next step: [rows, ..]. */
  leave(name: string, state: Tensor): void {
    this.newStates[name] = state;
  }
}

/** Bytes of keys and values that a decoder keeps of each token. */
export function cacheBytesPerToken(model: Writer): number {
  const trace = new StepTrace(1);
  model.step(trace);
  return trace.caches.reduce((bytes, { heads, dHead }) => bytes + 2 * 4 * heads * dHead, 0);
}
