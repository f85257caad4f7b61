// What a decoder that writes all places at once is taught, for each way in which an output gets its length.
import { ConfigError } from "../base/index.ts";
import { linearCtc, notPadding, PassReports } from "../nn/index.ts";
import {
  add,
  and,
  cast,
  constant,
  dim,
  div,
  equal,
  floor,
  input,
  less,
  linearCrossEntropy,
  maximum,
  mul,
  not,
  pad,
  phase,
  randomLabel,
  range,
  reshape,
  scalar,
  sizeOf,
  slice,
  sum,
  where,
  type Dim,
  type Tensor,
} from "../tensor/index.ts";
import type { EncodedSource } from "./encoder-decoder.ts";
import { tokensOf, whole, type NonAutoregressiveTransformer, type OutputLength } from "./non-autoregressive.ts";
import type { TeacherForcingOptions } from "./teacher-forcing.ts";
import { tokenLoss, withReports, type LossProgram } from "./token-loss.ts";

/** One batch as the losses see it. */
interface Lesson {
  readonly model: NonAutoregressiveTransformer;
  readonly sourceIds: Tensor;
  readonly encoded: EncodedSource;
  /** y₁ … yₙ, END, padding: int32 [batch, targetTime]. */
  readonly labels: Tensor;
  /** Those that are no padding: bool [batch, targetTime]. */
  readonly counts: Tensor;
  readonly tokenWeight: Tensor;
  readonly labelSmoothing: number;
  readonly reports: PassReports;
}

type Taught = Omit<LossProgram, "inputs">;

const losses: Readonly<Record<OutputLength, (lesson: Lesson) => Taught>> = {
  predicted: atTrueLength,
  "cut-at-end": inBlock,
  ctc: overAlignments,
};

/**
 * The loss of a non-autoregressive model, with the inputs of `teacherForcing`, so that whatever trains the one trains the other:
 * `sourceIds` [batch, sourceTime] and `targetIds` [batch, targetLength] (START, tokens, END, padding), int32; `tokenWeight`, a
 * scalar: 1 / (tokens of the update, END counted).
 */
export function nonAutoregressiveLoss(
  model: NonAutoregressiveTransformer,
  { labelSmoothing = 0 }: TeacherForcingOptions = {},
): LossProgram {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const targetIds = input("targetIds", "int32", [dim("batch"), dim("targetLength")]);
  const tokenWeight = input("tokenWeight", "float32", []);
  const labels = slice(targetIds, { axis: 1, start: 1 });
  const reports = new PassReports();
  const lesson = {
    model,
    sourceIds,
    encoded: model.encode(sourceIds, reports),
    labels,
    counts: notPadding(labels, model.pad),
    tokenWeight,
    labelSmoothing,
    reports,
  };
  return { inputs: { sourceIds, targetIds, tokenWeight }, ...losses[model.options.length](lesson) };
}

/**
 * Cross-entropy of every token, END included, on a canvas of the true length, and the loss of the length predictor. Where the
 * decoder input is masked, only of those tokens that the canvas does not show, which then stand for all.
 */
function atTrueLength(lesson: Lesson): Taught {
  const { model, sourceIds, encoded, labels, counts, tokenWeight, labelSmoothing, reports } = lesson;
  const { start, pad: padding, decoderInput } = model.options;
  const lengths = model.lengths!;
  const sourceTokens = tokensOf(encoded.keys);
  lengths.learn(
    lengths.forward(encoded.memory, sourceTokens),
    { source: sourceTokens, target: tokensOf(counts) },
    reports,
  );
  const asked = decoderInput === "masked" ? drawnMasks(counts) : counts;
  const empty = where(counts, whole(start), whole(padding));
  const canvas = where(asked, empty, labels);
  const perAsked = div(sum(cast(counts, "float32")), maximum(sum(cast(asked, "float32")), 1));
  return tokenLoss({
    hidden: model.fill(sourceIds, canvas, encoded, reports).output,
    labels: where(asked, labels, whole(padding)),
    ignored: padding,
    output: model.outputLayer(),
    tokenWeight: mul(tokenWeight, perAsked),
    labelSmoothing,
    reports,
  });
}

/**
 * Which tokens are hidden, bool [batch, time]: of n tokens a number drawn evenly from 1 … n, and which ones, evenly too.
 * (Ghazvininejad et al. 2019, "Mask-Predict", section 3.2.) Outside of training all are.
 */
export function drawnMasks(counts: Tensor): Tensor {
  const [batch, time] = counts.shape as readonly [Dim, Dim];
  const tokens = cast(reshape(tokensOf(counts), [batch, 1]), "float32");
  const hidden = add(floor(mul(drawn([batch, 1]), tokens)), 1); // [batch, 1]
  // A place's rank among its row's draws; of padding none is counted.
  const draws = drawn([batch, time]);
  const isBelow = less(reshape(draws, [batch, 1, time]), reshape(draws, [batch, time, 1]));
  const below = and(isBelow, reshape(counts, [batch, 1, time])); // [batch, place, other]
  const rank = sum(cast(below, "float32"), { axes: [2] }); // [batch, time]
  return phase(and(less(rank, hidden), counts), counts);
}

/** Numbers drawn evenly from [0, 1), of 24 bits, which float32 holds: anew in every training step. */
function drawn(shape: readonly [Dim, Dim]): Tensor {
  const bytes = cast(input(randomLabel, "uint8", [...shape, 3]), "float32");
  const places = constant({ dtype: "float32", dims: [3], data: Float32Array.of(2 ** -8, 2 ** -16, 2 ** -24) });
  return sum(mul(bytes, places), { axes: [2] });
}

/**
 * Cross-entropy of every place of a block: the tokens, END, and END again to the block's end. So a place's END means that the
 * output has ended by there, and where its chance passes one half is the median of the length; were places behind END not asked
 * for, several would each be a little sure, and none might say it. The reported likelihood is of the tokens and the first END.
 */
function inBlock({ model, sourceIds, encoded, labels, counts, tokenWeight, labelSmoothing, reports }: Lesson): Taught {
  const { end } = model.options;
  const canvas = model.emptyBlock(sourceIds);
  const [batch, time] = canvas.shape as readonly [Dim, Dim];
  const inTarget = less(reshape(range(time), [1, time]), reshape(tokensOf(counts), [batch, 1]));
  const isPlace = notPadding(canvas, model.pad);
  // Long enough for either, then cut to the block: targets longer than it lose their ends.
  const wide = slice(pad(labels, { axis: 1, after: time }), { axis: 1, end: time });
  const wanted = where(inTarget, wide, whole(end));
  const places = sizeOf([batch, time]);
  const { table, bias } = model.outputLayer();
  const hidden = model.fill(sourceIds, canvas, encoded, reports).output;
  const { loss, negativeLogLikelihood } = linearCrossEntropy(
    reshape(hidden, [places, hidden.shape[2]!]),
    table,
    reshape(wanted, [places]),
    { smoothing: labelSmoothing, bias },
  );
  const weighted = (kept: Tensor): Tensor => where(reshape(kept, [places]), tokenWeight, scalar(0));
  return withReports(reports, {
    loss: sum(mul(loss, weighted(isPlace))),
    figures: { negativeLogLikelihood: sum(mul(negativeLogLikelihood, weighted(and(isPlace, inTarget)))) },
    share: shareOf(counts, tokenWeight),
  });
}

/** −ln of the sum over all ways in which the block can be read as the target; END is not written. Libovický and Helcl 2018. */
function overAlignments(lesson: Lesson): Taught {
  const { model, sourceIds, encoded, labels, counts, tokenWeight, labelSmoothing, reports } = lesson;
  if (labelSmoothing > 0)
    throw new ConfigError("training.labelSmoothing", "has no effect with model.length ctc. Set it to 0.");
  const { start, end } = model.options;
  const canvas = model.emptyBlock(sourceIds);
  const { loss, reachable } = linearCtc(model.fill(sourceIds, canvas, encoded, reports).output, {
    ...model.outputLayer(),
    labels,
    counts: and(counts, not(equal(labels, whole(end)))),
    blank: start,
    frames: notPadding(canvas, model.pad),
  });
  const total = mul(sum(loss), tokenWeight);
  const lost = where(reachable, scalar(0), cast(tokensOf(counts), "float32"));
  return withReports(reports, {
    loss: total,
    // Tokens of targets that no reading of their block gives, as a share of all: they teach nothing.
    figures: { negativeLogLikelihood: total, unreachable: mul(sum(lost), tokenWeight) },
    share: shareOf(counts, tokenWeight),
  });
}

function shareOf(counts: Tensor, tokenWeight: Tensor): Tensor {
  return mul(sum(cast(counts, "float32")), tokenWeight);
}
