// The loss of an output that is longer than its label and says when, as part of a sum over all ways to say it.
import { ShapeError } from "../../base/index.ts";
import {
  add,
  affine,
  cast,
  concat,
  constant,
  customGradient,
  equal,
  exp,
  expand,
  gather,
  greater,
  log,
  logSoftmax,
  logSumExp,
  matmul,
  maximum,
  mul,
  mulDims,
  neg,
  not,
  or,
  pick,
  range,
  reshape,
  scan,
  slice,
  softmax,
  stack,
  stopGradient,
  sub,
  subDims,
  sum,
  transpose,
  where,
  zeros,
  type Dim,
  type Tensor,
} from "../../tensor/index.ts";

/** ln 0, finite: sums of it stay comparable, and its exponential is exactly zero. */
const never = -1e9;

export interface CtcLabels {
  /** What is to be read, without blanks: int32 [batch, labelTime]. */
  labels: Tensor;
  /** Which of them count, those of a row side by side from the first on: bool [batch, labelTime]. */
  counts: Tensor;
  /** Id of the blank; no label may be it. */
  blank: number;
}

export interface CtcOptions extends CtcLabels {
  /** Which frames count, those of a row side by side from the first on: bool [batch, time]. All if not said. */
  frames?: Tensor | undefined;
}

export interface Ctc {
  /** −ln p(labels) a row [batch]; 0, without a gradient, where no path of that many frames reads so. */
  readonly loss: Tensor;
  /** Rows that some path can read: bool [batch]. Each label takes a frame, and a label that repeats the one before it, two. */
  readonly reachable: Tensor;
}

/**
 * Connectionist temporal classification: −ln Σ p(π) over all paths π, one symbol a frame, that become the labels when runs of
 * one symbol are collapsed and then blanks left out. Graves et al. 2006, "Connectionist Temporal Classification", sections 3
 * and 4.1. With z the labels between blanks, b z₁ b z₂ … b, and everything in logarithms,
 *   αₜ(s) = ln p(zₛ | t) + ln(αₜ₋₁(s) + αₜ₋₁(s − 1) + αₜ₋₁(s − 2) where zₛ is neither blank nor zₛ₋₂).
 *
 * logits [batch, time, vocabulary], before the softmax. The recursion is a loop over time, all rows and labels side by side.
 * @example
 * const { loss } = ctc(logits, { labels, counts: notPadding(labels, 0), blank: 0 });
 */
export function ctc(logits: Tensor, options: CtcOptions): Ctc {
  wantRanks(logits, options.labels);
  const spelt = withBlanks(options); // [batch, 2 · labelTime + 1]
  const [batch, time] = logits.shape as readonly [Dim, Dim, Dim];
  const symbols = spelt.shape[1]!;
  const ids = expand(reshape(spelt, [batch, 1, symbols]), [batch, time, symbols]);
  return overPaths(pick(logSoftmax(logits), ids, 2), spelt, options);
}

/**
 * The same where logits = hidden · tableᵀ + bias: only the scores of symbols that occur in the labels are kept beside the
 * logarithm of each frame's denominator. hidden [batch, time, width], table [vocabulary, width], bias [vocabulary].
 */
export function linearCtc(
  hidden: Tensor,
  { table, bias, ...options }: CtcOptions & { table: Tensor; bias?: Tensor | undefined },
): Ctc {
  wantRanks(hidden, options.labels);
  const spelt = withBlanks(options);
  const [batch, time] = hidden.shape as readonly [Dim, Dim, Dim];
  const logits = affine(hidden, table, bias, { transposeB: true });
  // What flows back to logits is a softmax in any case; taken as one it needs no pass for the maximum.
  const denominator = customGradient(logSumExp(logits), [logits], (dy) => [
    mul(softmax(logits), reshape(dy, [batch, time, 1])),
  ]);
  const rows = gather(table, spelt); // [batch, symbols, width]
  const asked = matmul(hidden, rows, { transposeB: true }); // [batch, time, symbols]
  const scores = bias === undefined ? asked : add(asked, reshape(gather(bias, spelt), [batch, 1, spelt.shape[1]!]));
  return overPaths(sub(scores, reshape(denominator, [batch, time, 1])), spelt, options);
}

/** b z₁ b z₂ … b: int32 [batch, 2 · labelTime + 1]. */
function withBlanks({ labels, blank }: CtcLabels): Tensor {
  const [batch, labelTime] = labels.shape as readonly [Dim, Dim];
  const blanks = (time: Dim): Tensor => expand(wholeNumber(blank), [batch, time]);
  const pairs = stack([blanks(labelTime), labels], 2); // [batch, labelTime, 2]
  return concat([reshape(pairs, [batch, mulDims(2, labelTime)]), blanks(1)], 1);
}

const wholeNumber = (value: number): Tensor => constant({ dtype: "int32", dims: [], data: Int32Array.of(value) });

/** scores [batch, time, symbols]: ln p of each symbol of `spelt` in each frame. */
function overPaths(scores: Tensor, spelt: Tensor, { counts, blank, frames }: CtcOptions): Ctc {
  const [batch, time, symbols] = scores.shape as readonly [Dim, Dim, Dim];
  const places = reshape(range(symbols), [1, symbols]);
  const before = (x: Tensor, by: number, fill: Tensor): Tensor =>
    concat([fill, slice(x, { axis: 1, end: subDims(symbols, by) })], 1);
  const nowhere = (width: number): Tensor => add(zeros({ dtype: scores.dtype, shape: [batch, width] }), never);
  // Over a blank that stands between two unlike labels a path may leap.
  const isBlank = equal(spelt, wholeNumber(blank));
  const twoBefore = before(spelt, 2, expand(wholeNumber(blank), [batch, 2]));
  const mayLeap = not(or(isBlank, equal(spelt, twoBefore)));
  const isFirst = equal(places, wholeNumber(0));
  const start = where(isFirst, zeros({ dtype: scores.dtype, shape: [batch, symbols] }), never);

  const perFrame = transpose(scores, [1, 0, 2]); // [time, batch, symbols]
  const sequences =
    frames === undefined ? [perFrame] : [perFrame, reshape(transpose(frames, [1, 0]), [time, batch, 1])];
  const { carry } = scan({ carry: [start], sequences }, ([alpha], [score, isFrame]) => {
    const leapt = where(mayLeap, before(alpha!, 2, nowhere(2)), never);
    const next = add(logSum([alpha!, before(alpha!, 1, nowhere(1)), leapt]), score!);
    return { carry: [isFrame === undefined ? next : where(isFrame, next, alpha!)], outputs: [] };
  });

  // A path ends on the last label or on the blank behind it.
  const labelCount = sum(cast(counts, "int32"), { axes: [1], keepDims: true }); // [batch, 1]
  const last = mul(labelCount, wholeNumber(2));
  const isEnd = or(equal(places, last), equal(places, sub(last, wholeNumber(1))));
  const total = logSumExp(where(isEnd, carry[0]!, never)); // [batch]
  const reachable = greater(total, never / 2);
  return { loss: where(reachable, neg(total), 0), reachable };
}

/** ln Σ eˣ of several tensors, place by place. The largest is only there for range: what flows through it cancels out. */
function logSum(terms: readonly Tensor[]): Tensor {
  const peak = stopGradient(terms.reduce((a, b) => maximum(a, b)));
  return add(peak, log(terms.map((term) => exp(sub(term, peak))).reduce((a, b) => add(a, b))));
}

function wantRanks(scores: Tensor, labels: Tensor): void {
  if (scores.rank !== 3 || labels.rank !== 2)
    throw new ShapeError(
      `ctc: [batch, time, width] and labels [batch, labelTime] are wanted, got ${scores.rank} and ${labels.rank} axes`,
    );
}
