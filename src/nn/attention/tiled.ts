// Attention over one tile of keys at a time, so that no array of all queries by all keys is ever in memory.
import { ConfigError } from "../../base/index.ts";
import {
  add,
  addDims,
  concat,
  constantValue,
  customGradient,
  div,
  exp,
  expand,
  floorDivideDim,
  input,
  lessOrEqual,
  matmul,
  max,
  maximum,
  minimum,
  mul,
  mulDims,
  neg,
  pad,
  reciprocal,
  reshape,
  scalar,
  scan,
  slice,
  split,
  sub,
  subDims,
  sum,
  sumTo,
  topologicalOrder,
  transpose,
  vectorJacobian,
  zeros,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import type { AttentionKernel, AttentionResult } from "./kernel.ts";
import { maskBias } from "./mask.ts";
import type { AttentionScope } from "./scope.ts";

export interface TiledAttentionOptions {
  /** Keys that are looked at together. */
  tile?: number;
}

/** Under causality queries are taken in so many parts, each of which leaves out the tiles behind its last query. */
const causalParts = 4;

/** The score of places behind the last key: exp(−1e30 + 1e9) is zero, so that not even rows that see nothing see them. */
const noKey = -1e30;

/**
 * Full attention, computed over tiles of keys: memory grows with the length, not with its square, forward and backward.
 *
 * Forward, each tile's scores S = Q Kᵀ/√dHead + bias update the running maximum m, and what was summed so far is scaled to it:
 * m′ = max(m, max S), l′ = l e^(m − m′) + Σ e^(S − m′), A′ = A e^(m − m′) + e^(S − m′) V; in the end the context is A / l
 * (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022, "FlashAttention", algorithm 1).
 * Backward, with m and l kept a row, each tile's weights P = e^(S − m) / l are computed again, and with D = Σ dO ∘ O a row
 * dV = Pᵀ dO, dS = P ∘ (dO Vᵀ − D), dQ = Σ dS K/√dHead, dK = dSᵀ Q/√dHead, and dS flows on to a learned bias (algorithm 4).
 * Under causality queries come in four parts that leave out the tiles behind them: 5/8 of all scores are computed.
 *
 * It equals `FullAttention` up to rounding, but for queries that may see no key at all: there the mean is over fewer of the
 * hidden values. Weights never stand side by side, so there are none to look at or to drop.
 * @example new MultiHeadAttention({ dModel: 256, heads: 4, kernel: new TiledAttention({ tile: 128 }) });
 */
export class TiledAttention implements AttentionKernel {
  readonly name = "tiled";
  readonly tile: number;

  constructor({ tile = 256 }: TiledAttentionOptions = {}) {
    if (!Number.isInteger(tile) || tile < 1)
      throw new ConfigError("model.attention.tile", `a whole number of at least 1 is wanted, got ${tile}`);
    this.tile = tile;
  }

  attend(query: Tensor, key: Tensor, value: Tensor, scope: AttentionScope, dropout?: Dropout): AttentionResult {
    if (dropout !== undefined && dropout.rate > 0) {
      throw new ConfigError(
        "model.attentionDropout",
        `tiled attention computes its weights twice and keeps none, so it cannot drop any (got a rate of ${dropout.rate}). Set it to 0, or take full attention.`,
      );
    }
    const scale = 1 / Math.sqrt(query.shape.at(-1) as number);
    const scaled = mul(query, scale);
    const cut = new QueryParts(scope, this.tile);
    const tiles = new KeyTiles(key, value, { scope, tile: this.tile, count: cut.tiles.at(-1)! });
    const learned = learnedBias(scope);
    const queries = cut.parts(scaled, 2);
    const places = cut.parts(scope.queryPositions, 0);
    const parts = queries.map(
      (part, i) => new TiledPart({ query: part, places: places[i]!, tiles, seen: cut.tiles[i]!, scope }),
    );
    const context = customGradient(
      cut.whole(parts.map((part) => part.context)),
      [query, key, value, ...learned],
      (dy, wants) => {
        const wanted = learned.filter((_, i) => wants(i + 3));
        const dContexts = cut.parts(expand(dy, query.shape), 2);
        const flows = parts.map((part, i) => part.gradients(dContexts[i]!, wanted));
        const total = (of: (flow: Flow) => Tensor): Tensor => flows.map(of).reduce((a, b) => add(a, b));
        return [
          mul(cut.whole(flows.map((flow) => flow.query)), scale),
          tiles.untiled(total((flow) => flow.key)),
          tiles.untiled(total((flow) => flow.value)),
          ...learned.map((leaf) =>
            wanted.includes(leaf) ? total((flow) => flow.learned[wanted.indexOf(leaf)]!) : undefined,
          ),
        ];
      },
    );
    return { context };
  }
}

/** Queries in parts of one size, zeros behind the last, and how many tiles of keys each looks at. */
class QueryParts {
  readonly tiles: readonly Dim[];
  readonly #time: Dim;
  readonly #size: Dim;

  constructor({ queryTime, keyTime, isCausal }: AttentionScope, tile: number) {
    const most = isCausal ? causalParts : 1;
    const count = typeof queryTime === "number" ? Math.min(most, Math.ceil(queryTime / tile)) : most;
    this.#time = queryTime;
    this.#size = floorDivideDim(addDims(queryTime, count - 1), count);
    const earlier = subDims(keyTime, queryTime);
    // The last key that a part sees has the place of its last query.
    this.tiles = Array.from({ length: count }, (_, part) => {
      const keys = isCausal ? addDims(earlier, mulDims(this.#size, part + 1)) : keyTime;
      return addDims(floorDivideDim(subDims(keys, 1), tile), 1);
    });
  }

  /** [.., queryTime, ..] → the parts, [.., size, ..] each */
  parts(x: Tensor, axis: number): Tensor[] {
    const { length } = this.tiles;
    const after = subDims(mulDims(this.#size, length), this.#time);
    return split(pad(x, { axis, after }), { axis, parts: this.tiles.map(() => this.#size) });
  }

  /** Parts [batch, heads, size, dHead] → [batch, heads, queryTime, dHead] */
  whole(parts: readonly Tensor[]): Tensor {
    return slice(concat(parts, 2), { axis: 2, end: this.#time });
  }
}

/** A tile as the loops meet it. */
interface Tile {
  /** [batch, heads, tile, dHead + 1], the last column ones */
  readonly key: Tensor;
  /** [batch, heads, tile, dHead + 1], the last column ones */
  readonly value: Tensor;
  /** 0 where a key counts, far below where it is padding: [1 or batch, 1, 1, tile] */
  readonly hidden: Tensor;
  /** int32 [tile] */
  readonly positions: Tensor;
}

/** Keys and values cut into tiles, zeros behind the last. */
class KeyTiles {
  readonly #count: Dim;
  readonly #tile: number;
  readonly #time: Dim;
  readonly #sequences: readonly Tensor[];

  constructor(key: Tensor, value: Tensor, { scope, tile, count }: { scope: AttentionScope; tile: number; count: Dim }) {
    const { keyTime, keys, keyPositions } = scope;
    this.#tile = tile;
    this.#time = keyTime;
    this.#count = count;
    const isKey = expand(scalar(1, key.dtype), [1, keyTime]);
    const behind = mul(sub(1, this.#padded(isKey, 1)), noKey); // [1, count · tile]
    const hidden = keys === undefined ? behind : add(this.#padded(maskBias(keys), 1), behind);
    const [rows] = hidden.shape as readonly [Dim];
    this.#sequences = [
      this.#tiled(withOnes(key), 2),
      this.#tiled(withOnes(value), 2),
      this.#tilesFirst(reshape(hidden, [rows, 1, 1, mulDims(this.#count, tile)]), 3),
      this.#tiled(keyPositions, 0),
    ];
  }

  /** The first tiles, as sequences of a loop. */
  first(tiles: Dim): readonly Tensor[] {
    return this.#sequences.map((sequence) => slice(sequence, { axis: 0, end: tiles }));
  }

  static of([key, value, hidden, positions]: readonly Tensor[]): Tile {
    return { key: key!, value: value!, hidden: hidden!, positions: positions! };
  }

  /** The first tiles of a sum over all: [tiles, ..] → [count, ..] */
  padTiles(x: Tensor): Tensor {
    return pad(x, { axis: 0, after: subDims(this.#count, x.shape[0]!) });
  }

  /** [count, batch, heads, tile, dHead] → [batch, heads, keyTime, dHead] */
  untiled(x: Tensor): Tensor {
    const [, batch, heads, , width] = x.shape as readonly [Dim, Dim, Dim, Dim, Dim];
    const inTime = reshape(transpose(x, [1, 2, 0, 3, 4]), [batch, heads, mulDims(this.#count, this.#tile), width]);
    return slice(inTime, { axis: 2, end: this.#time });
  }

  #padded(x: Tensor, axis: number): Tensor {
    return pad(x, { axis, after: subDims(mulDims(this.#count, this.#tile), this.#time) });
  }

  #tiled(x: Tensor, axis: number): Tensor {
    return this.#tilesFirst(this.#padded(x, axis), axis);
  }

  /** [.., count · tile, ..] → [count, .., tile, ..] */
  #tilesFirst(x: Tensor, axis: number): Tensor {
    const cut = reshape(x, [...x.shape.slice(0, axis), this.#count, this.#tile, ...x.shape.slice(axis + 1)]);
    const others = cut.shape.map((_, i) => i).filter((i) => i !== axis);
    return axis === 0 ? cut : transpose(cut, [axis, ...others]);
  }
}

/** A column of ones behind the last: products with it give row sums, and subtract a number a row, on their way. */
function withOnes(x: Tensor): Tensor {
  return concat([x, expand(scalar(1, x.dtype), [...x.shape.slice(0, -1), 1])], -1);
}

interface PartInputs {
  /** Scaled: [batch, heads, part, dHead] */
  readonly query: Tensor;
  /** int32 [part] */
  readonly places: Tensor;
  readonly tiles: KeyTiles;
  /** How many tiles these queries look at. */
  readonly seen: Dim;
  readonly scope: AttentionScope;
}

/** What flows back from a part of the queries. */
interface Flow {
  /** Lacks the scale: [batch, heads, part, dHead] */
  readonly query: Tensor;
  /** [tiles, batch, heads, tile, dHead] */
  readonly key: Tensor;
  /** [tiles, batch, heads, tile, dHead] */
  readonly value: Tensor;
  readonly learned: readonly Tensor[];
}

/** Some of the queries against all tiles that they see. */
class TiledPart {
  /** [batch, heads, part, dHead] */
  readonly context: Tensor;
  /** The largest score of each query: [batch, heads, part, 1] */
  readonly #peak: Tensor;
  /** The sum of each query's weights, relative to that of the largest score: [batch, heads, part, 1] */
  readonly #total: Tensor;
  readonly #inputs: PartInputs;

  constructor(inputs: PartInputs) {
    this.#inputs = inputs;
    const { query, tiles, seen } = inputs;
    const { dtype, shape } = query;
    const rows = shape.slice(0, -1);
    const width = shape.at(-1)!;
    const wide = pad(query, { axis: 3, after: 1 });
    const { carry } = scan(
      {
        carry: [expand(scalar(noKey, dtype), [...rows, 1]), zeros({ dtype, shape: [...rows, addDims(width, 1)] })],
        sequences: tiles.first(seen),
      },
      ([peak, summed], slices) => {
        const { key, value, ...place } = KeyTiles.of(slices);
        const scores = add(matmul(wide, key, { transposeB: true }), this.#bias(place).total); // [batch, heads, part, tile]
        const next = maximum(peak!, max(scores, { axes: [-1], keepDims: true }));
        const weighted = matmul(exp(sub(scores, next)), value); // the column of ones adds up the weights
        return { carry: [next, add(mul(summed!, exp(sub(peak!, next))), weighted)], outputs: [] };
      },
    );
    const [peak, summed] = carry as readonly [Tensor, Tensor];
    this.#peak = peak;
    this.#total = slice(summed, { axis: 3, start: width });
    this.context = div(slice(summed, { axis: 3, end: width }), this.#total);
  }

  /** What flows back for a gradient of the context, [batch, heads, part, dHead]. */
  gradients(dContext: Tensor, learned: readonly Tensor[]): Flow {
    const { query, tiles, seen } = this.#inputs;
    const { dtype, shape } = query;
    const width = shape.at(-1)!;
    // With dO and D divided by each row's total, P may stay without that division.
    const flowing = mul(dContext, reciprocal(this.#total));
    const share = sum(mul(flowing, this.context), { axes: [-1], keepDims: true });
    const [lessShare, lessPeak] = [concat([flowing, neg(share)], -1), concat([query, neg(this.#peak)], -1)];
    const { carry, outputs } = scan(
      {
        carry: [zeros({ dtype, shape: [...shape.slice(0, -1), addDims(width, 1)] }), ...learned.map(zeros)],
        sequences: tiles.first(seen),
      },
      ([dQuery, ...dLearned], slices) => {
        const { key, value, ...place } = KeyTiles.of(slices);
        const bias = this.#bias(place);
        const weights = exp(add(matmul(lessPeak, key, { transposeB: true }), bias.total)); // [batch, heads, part, tile]
        const dScores = mul(weights, matmul(lessShare, value, { transposeB: true }));
        const { placed } = bias;
        const dBias = placed === undefined ? [] : vectorJacobian([[placed, sumTo(dScores, placed.shape)]], learned);
        return {
          carry: [add(dQuery!, matmul(dScores, key)), ...dLearned.map((sofar, i) => add(sofar, dBias[i]!))],
          outputs: [matmul(dScores, query, { transposeA: true }), matmul(weights, flowing, { transposeA: true })],
        };
      },
    );
    const [dQuery, ...dLearned] = carry as readonly [Tensor, ...Tensor[]];
    const [dKey, dValue] = outputs.map((each) => tiles.padTiles(each)) as [Tensor, Tensor];
    return { query: slice(dQuery, { axis: 3, end: width }), key: dKey, value: dValue, learned: dLearned };
  }

  /** What is added to the scores of a tile, and the part of it that positions give: [heads or 1, part, tile]. */
  #bias({ hidden, positions }: Pick<Tile, "hidden" | "positions">): { total: Tensor; placed: Tensor | undefined } {
    const { places, scope } = this.#inputs;
    let total = hidden;
    if (scope.isCausal) {
      const isPast = lessOrEqual(reshape(positions, [1, -1]), reshape(places, [-1, 1])); // [part, tile]
      total = minimum(hidden, maskBias(isPast)); // hidden twice is hidden no further
    }
    const placed = scope.positions?.bias?.(places, positions);
    return { total: placed === undefined ? total : add(total, placed), placed };
  }
}

/**
 * What a positions' bias is learned from: the tensors that it starts from each time it is asked. Two questions have these in
 * common and nothing behind them.
 */
function learnedBias({ positions }: AttentionScope): readonly Tensor[] {
  const ask = (): Tensor | undefined =>
    positions?.bias?.(input("a query's place", "int32", [2]), input("a key's place", "int32", [3]));
  const [one, other] = [ask(), ask()];
  if (one === undefined || other === undefined) return [];
  const common = new Set(topologicalOrder([other]));
  const own = topologicalOrder([one]).filter((node) => !common.has(node));
  const met = new Set([one, ...own.flatMap(({ inputs }) => inputs)]);
  return [...met].filter(
    (tensor) => common.has(tensor.node) && tensor.dtype.startsWith("float") && constantValue(tensor) === undefined,
  );
}
