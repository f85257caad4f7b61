// Mixture of experts: many feed-forward layers, of which each token goes through few.
import { ConfigError, ShapeError } from "../../base/index.ts";
import {
  add,
  addDims,
  and,
  cast,
  concat,
  constant,
  cumulativeSum,
  div,
  equalShapes,
  expand,
  floorDiv,
  floorDivideDim,
  formatShape,
  gather,
  greater,
  less,
  logSumExp,
  max,
  maximum,
  mul,
  mulDims,
  oneHot,
  phase,
  reshape,
  scatterAdd,
  sizeOf,
  slice,
  softmax,
  sub,
  sum,
  topK,
  transpose,
  trueIndices,
  where,
  zeros,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";
import { Linear } from "../linear.ts";
import { Module } from "../module.ts";
import { Pass, type PassReports } from "../pass.ts";
import type { FeedForwardLayer } from "./feed-forward.ts";

export interface ExpertsFeedForwardOptions {
  /** Makes one expert; each is made by a call of its own. */
  expert: () => FeedForwardLayer;
  dModel: number;
  experts: number;
  /** Experts that each token goes through. */
  chosen?: number;
  /** While training an expert takes at most this many times its fair share of the tokens; those beyond go through none. */
  capacityFactor?: number;
  /** Weight of the loss that keeps the experts equally busy; 0 leaves it out. */
  balance?: number;
  /** Weight of the loss that keeps the router's scores small; 0 leaves it out. */
  routerZ?: number;
}

/**
 * Experts behind a router. With p = softmax(x W_r):
 *
 * - one chosen: y = pᵢ(x) Eᵢ(x), i the expert with the largest pᵢ. Fedus et al. 2021, "Switch Transformers", section 2.1;
 * - several: y = Σ pᵢ(x) / (Σ pⱼ(x)) Eᵢ(x), both sums over the chosen experts, those with the largest p, which is the softmax over
 *   their scores alone. Shazeer et al. 2017, "Outrageously Large Neural Networks", section 2.1 without the noise; Jiang et al. 2024,
 *   "Mixtral of Experts", section 2.1.
 *
 * Each expert computes its own tokens and no others. While training, an expert takes ⌈capacityFactor · tokens · chosen / experts⌉
 * tokens in the order in which they stand; what comes later leaves zeros, and the residual connection carries the token on. In
 * inference every token is served. Padding (`pass.valid`) goes to no expert, takes no room and has no part in the losses.
 *
 * Left in `pass.reports`:
 * - losses: balance · experts · Σᵢ fᵢ Pᵢ, fᵢ the share of all choices that fell on expert i and Pᵢ the mean of pᵢ (Fedus et al.,
 *   equations 4 to 6; at its least, where all are equally busy, it is `balance`), and routerZ · mean (ln Σ eˢ)² over the router's
 *   scores s (Zoph et al. 2022, "ST-MoE", equation 5);
 * - figures: `experts.dropped`, the choices of a batch that found no room, added up over layers, and `experts.load`, the busiest
 *   expert's tokens over the mean, of the worst layer.
 *
 * @example
 * const layer = new ExpertsFeedForward({ dModel: 512, experts: 8, expert: () => new FeedForward({ dModel: 512, dFeedForward: 2048 }) });
 */
export class ExpertsFeedForward extends Module implements FeedForwardLayer {
  readonly router: Linear;
  readonly experts: readonly FeedForwardLayer[];
  readonly chosen: number;
  readonly balance: number;
  readonly routerZ: number;
  /** Tokens that one expert takes, as a share of all: a fraction of whole numbers, so that capacities are exact. */
  readonly #share: { readonly numerator: number; readonly denominator: number };

  constructor({
    expert,
    dModel,
    experts,
    chosen = 1,
    capacityFactor = 1.25,
    balance = 0.01,
    routerZ = 0.001,
  }: ExpertsFeedForwardOptions) {
    super();
    if (!Number.isInteger(experts) || experts < 1)
      throw new ConfigError("experts", `a whole number of at least 1 is wanted (got ${experts}).`);
    if (!Number.isInteger(chosen) || chosen < 1 || chosen > experts)
      throw new ConfigError("chosen", `a token goes through 1 to ${experts} of ${experts} experts (got ${chosen}).`);
    const { numerator, denominator } = fraction(capacityFactor);
    this.router = new Linear({ from: dModel, to: experts, bias: false });
    this.experts = Array.from({ length: experts }, expert);
    this.chosen = chosen;
    this.balance = balance;
    this.routerZ = routerZ;
    this.#share = { numerator: numerator * chosen, denominator: denominator * experts };
  }

  /** x [.., dModel] → [.., dModel] */
  forward(x: Tensor, { valid, reports }: Pass = new Pass()): Tensor {
    const leading = x.shape.slice(0, -1);
    if (valid !== undefined && !equalShapes(valid.shape, leading))
      throw new ShapeError(
        `experts: which positions of x ${formatShape(x.shape)} are valid is bool ${formatShape(leading)}, got ${formatShape(valid.shape)}`,
      );
    const tokens = sizeOf(leading);
    const flat = reshape(x, [tokens, x.shape.at(-1)!]);
    const isValid = valid === undefined ? expand(isTrue, [tokens]) : reshape(valid, [tokens]);

    const scores = this.router.forward(flat); // [tokens, experts]
    const odds = softmax(scores);
    const isChosen = sum(oneHot(topK(odds, this.chosen).ids, this.experts.length), { axes: [1] }); // [tokens, experts], 0 or 1
    const taken = mul(odds, isChosen);
    const gates = this.chosen === 1 ? taken : div(taken, sum(taken, { axes: [1], keepDims: true }));
    const isRouted = and(greater(isChosen, 0.5), reshape(isValid, [tokens, 1])); // [tokens, experts]
    const isServed = phase(and(isRouted, this.#hasRoom(isRouted, isValid)), isRouted);

    this.#report(reports, { scores, odds, isRouted, isServed, isValid });
    return reshape(this.#serve(flat, gates, isServed, reports), x.shape);
  }

  /** Whether a token stands early enough among those of its expert: bool [tokens, experts]. */
  #hasRoom(isRouted: Tensor, isValid: Tensor): Tensor {
    const { numerator, denominator } = this.#share;
    const before = cumulativeSum(cast(isRouted, "int64"), 0, { exclusive: true });
    const share = mul(sum(cast(isValid, "int64")), numerator);
    return less(before, floorDiv(add(share, denominator - 1), denominator));
  }

  /** Each expert over the rows of its tokens alone; all that come out, times their gates, put back in their places. */
  #serve(flat: Tensor, gates: Tensor, isServed: Tensor, reports: PassReports): Tensor {
    const [tokens] = flat.shape as readonly [Dim, Dim];
    const { numerator, denominator } = this.#share;
    const atMost = floorDivideDim(addDims(mulDims(tokens, numerator), denominator - 1), denominator);
    const byExpert = transpose(isServed, [1, 0]); // [experts, tokens]
    const served = this.experts.map((expert, i) => {
      const part = { start: i, end: i + 1 };
      const places = trueIndices(reshape(slice(byExpert, { axis: 0, ...part }), [tokens]), { atMost }); // [count]
      const y = expert.forward(gather(flat, places), new Pass(undefined, reports)); // [count, dModel]
      return { places, rows: mul(y, gather(slice(gates, { axis: 1, ...part }), places)) };
    });
    const places = concat(
      served.map((part) => part.places),
      0,
    );
    const rows = concat(
      served.map((part) => part.rows),
      0,
    );
    return scatterAdd(zeros(flat), places, rows);
  }

  #report(
    reports: PassReports,
    {
      scores,
      odds,
      isRouted,
      isServed,
      isValid,
    }: Record<"scores" | "odds" | "isRouted" | "isServed" | "isValid", Tensor>,
  ): void {
    const count = this.experts.length;
    const tokens = maximum(total(isValid), 1); // a batch of nothing but padding has no mean
    const choices = sum(cast(isRouted, "float32"), { axes: [0] }); // [experts]
    const share = div(choices, mul(tokens, this.chosen));
    if (this.balance !== 0) {
      const odd = div(sum(where(reshape(isValid, [-1, 1]), odds, 0), { axes: [0] }), tokens); // [experts]
      reports.losses.push(mul(sum(mul(share, odd)), this.balance * count));
    }
    if (this.routerZ !== 0) {
      const size = logSumExp(scores); // [tokens]
      reports.losses.push(mul(div(sum(where(isValid, mul(size, size), 0)), tokens), this.routerZ));
    }
    const { figures } = reports;
    const [dropped, load] = [sub(total(isRouted), total(isServed)), mul(max(share), count)];
    const [before, worst] = [figures.get("experts.dropped"), figures.get("experts.load")];
    figures.set("experts.dropped", before === undefined ? dropped : add(before, dropped));
    figures.set("experts.load", worst === undefined ? load : maximum(worst, load));
  }
}

const isTrue = constant({ dtype: "bool", dims: [], data: Uint8Array.of(1) });

/** How many are true. */
const total = (mask: Tensor): Tensor => sum(cast(mask, "float32"));

function fraction(capacityFactor: number): { numerator: number; denominator: number } {
  for (let denominator = 1; denominator <= 1000; denominator++) {
    const numerator = Math.round(capacityFactor * denominator);
    if (numerator > 0 && Math.abs(numerator - capacityFactor * denominator) < 1e-9) return { numerator, denominator };
  }
  throw new ConfigError(
    "capacityFactor",
    `a number above 0 with at most three decimals is wanted, such as 1.25 (got ${capacityFactor}).`,
  );
}
