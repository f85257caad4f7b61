// How long an output will be, told from the source before any of it is written.
import { Linear, Module, type PassReports } from "../nn/index.ts";
import {
  abs,
  add,
  argmax,
  cast,
  concat,
  constant,
  div,
  lessOrEqual,
  logSoftmax,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  pick,
  reshape,
  sub,
  sum,
  type Dim,
  type Tensor,
} from "../tensor/index.ts";

/** What the loss of the length counts beside a token's. */
const lengthWeight = 0.1;

/** What the sum of the encoder's vectors is divided by: about the tokens of a sentence, so that it is of the mean's size. */
const usualTokens = 16;

/**
 * A softmax over how much longer the output is than the source, from −reach to reach: W [mean; sum / 16] + b of the encoder's
 * vectors. The sum is there because tokens that become two, or none, have to be counted, and a mean knows no count. (Lee et al.
 * 2018, section 4, predict the difference too, from a mean; what lies beyond the ends counts as the end.)
 */
export class LengthPredictor extends Module {
  readonly output: Linear;
  readonly reach: number;

  constructor({ dModel, reach }: { dModel: number; reach: number }) {
    super();
    this.output = new Linear({ from: 2 * dModel, to: 2 * reach + 1 });
    this.reach = reach;
  }

  /** memory [batch, sourceTime, dModel], zero at padding, of which `tokens` int32 [batch] count → logits [batch, 2 · reach + 1] */
  forward(memory: Tensor, tokens: Tensor): Tensor {
    const counted = maximum(cast(tokens, "float32"), 1);
    const total = sum(memory, { axes: [1] }); // [batch, dModel]
    const average = div(total, reshape(counted, [tokens.shape[0]!, 1]));
    return this.output.forward(concat([average, mul(total, 1 / usualTokens)], 1));
  }

  /**
   * Leaves the cross-entropy of the true lengths, int32 [batch], with the pass, and as figures it and the share of lengths that
   * the first choice misses by at most two tokens.
   */
  learn(logits: Tensor, { source, target }: { source: Tensor; target: Tensor }, reports: PassReports): void {
    const reach = whole(this.reach);
    const difference = add(minimum(maximum(sub(target, source), neg(reach)), reach), reach); // [batch]
    const batch = logits.shape[0] as Dim;
    const loss = neg(mean(pick(logSoftmax(logits), reshape(difference, [batch, 1]), 1)));
    const miss = abs(sub(cast(argmax(logits), "int32"), difference));
    reports.losses.push(mul(loss, lengthWeight));
    reports.figures.set("lengthLoss", loss);
    reports.figures.set("lengthWithinTwo", mean(cast(lessOrEqual(miss, whole(2)), "float32")));
  }
}

const whole = (value: number): Tensor => constant({ dtype: "int32", dims: [], data: Int32Array.of(value) });
