// What attention is told besides its vectors: who may look at whom, and where everybody stands.
import { add, and, range, reshape, slice, subDims, type Dim, type Tensor } from "../../tensor/index.ts";
import type { AttentionPositions } from "../position/attention-positions.ts";
import { causalMask, maskBias } from "./mask.ts";

export interface AttentionScopeOptions {
  queryTime: Dim;
  /** Where there are more keys than queries, the queries are the last of them. */
  keyTime?: Dim;
  /** Whether a query sees only its own place and those before. */
  isCausal?: boolean;
  /** Keys that are no padding: bool [batch, keyTime]; absent where all count. */
  keys?: Tensor | undefined;
  /** Absent where attention knows nothing of places, as between two sequences. */
  positions?: AttentionPositions | undefined;
}

/** One scope serves all layers of a stack: what they share is traced once. */
export class AttentionScope {
  readonly queryTime: Dim;
  readonly keyTime: Dim;
  readonly isCausal: boolean;
  readonly keys: Tensor | undefined;
  readonly positions: AttentionPositions | undefined;
  #places: { query: Tensor; key: Tensor } | undefined;
  #bias: { value: Tensor | undefined } | undefined;

  constructor({ queryTime, keyTime = queryTime, isCausal = false, keys, positions }: AttentionScopeOptions) {
    this.queryTime = queryTime;
    this.keyTime = keyTime;
    this.isCausal = isCausal;
    this.keys = keys;
    this.positions = positions;
  }

  /** Place of each query, int32 [queryTime]. */
  get queryPositions(): Tensor {
    return this.#at().query;
  }

  /** Place of each key, int32 [keyTime]. */
  get keyPositions(): Tensor {
    return this.#at().key;
  }

  #at(): { query: Tensor; key: Tensor } {
    if (this.#places === undefined) {
      const key = range(this.keyTime);
      const earlier = subDims(this.keyTime, this.queryTime);
      this.#places = { key, query: earlier === 0 ? key : slice(key, { axis: 0, start: earlier }) };
    }
    return this.#places;
  }

  /** query [batch, heads, queryTime, dHead], turned where the positions turn. */
  turnQuery(query: Tensor): Tensor {
    return this.positions?.turn?.(query, this.queryPositions, "query") ?? query;
  }

  /** key [batch, keyValueHeads, keyTime, dHead], turned where the positions turn. */
  turnKey(key: Tensor): Tensor {
    return this.positions?.turn?.(key, this.keyPositions, "key") ?? key;
  }

  /** Everything that is added to the scores of all keys at once: broadcasts to [batch, heads, queryTime, keyTime]. */
  get bias(): Tensor | undefined {
    if (this.#bias === undefined) {
      const mask = this.#mask();
      const hidden = mask === undefined ? undefined : maskBias(mask);
      const placed = this.positions?.bias?.(this.queryPositions, this.keyPositions); // [heads, queryTime, keyTime]
      this.#bias = { value: hidden === undefined ? placed : placed === undefined ? hidden : add(hidden, placed) };
    }
    return this.#bias.value;
  }

  /** true: may look; [1 or batch, 1, 1 or queryTime, keyTime]. */
  #mask(): Tensor | undefined {
    const causal = this.isCausal ? causalMask(this.queryTime, this.keyTime) : undefined;
    if (this.keys === undefined) return causal;
    const [batch, keyTime] = this.keys.shape as readonly [Dim, Dim];
    const keys = reshape(this.keys, [batch, 1, 1, keyTime]);
    return causal === undefined ? keys : and(causal, keys);
  }
}
