// What a decoder that writes all places at once is taught, for each way in which an output gets its length.
import { ConfigError } from "../base/index.ts";
import { linearCtc, notPadding, PassReports, type KeyValue } from "../nn/index.ts";
import {
  add,
  affine,
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
  topK,
  where,
  type Dim,
  type Tensor,
} from "../tensor/index.ts";
import type { EncodedSource } from "./encoder-decoder.ts";
import { noGlancing } from "./choices/combinations.ts";
import { tokensOf, whole, type NonAutoregressiveTransformer, type OutputLength } from "./non-autoregressive.ts";
import type { TeacherForcingOptions } from "./teacher-forcing.ts";
import { tokenLoss, withReports, type LossProgram } from "./token-loss.ts";

export interface NonAutoregressiveLossOptions extends TeacherForcingOptions {
  /**
   * λ of glancing: the model writes the canvas once to see how well it does, and is then shown, of d tokens that it missed,
   * λ · d of the target's, and asked for the others. 0 shows none. (Qian et al. 2021, "Glancing Transformer for
   * Non-Autoregressive Neural Machine Translation", section 3.2, equation 5; they go from 0.5 to 0.3.)
   */
  glancing?: number;
}

/** One batch as the losses see it. */
interface Lesson {
  readonly model: NonAutoregressiveTransformer;
  readonly sourceIds: Tensor;
  readonly encoded: EncodedSource;
  /** Of each decoder layer. */
  readonly memory: readonly KeyValue[];
  /** y₁ … yₙ, END, padding: int32 [batch, targetTime]. */
  readonly labels: Tensor;
  /** Those that are no padding: bool [batch, targetTime]. */
  readonly counts: Tensor;
  readonly tokenWeight: Tensor;
  readonly labelSmoothing: number;
  readonly glancing: number;
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
  { labelSmoothing = 0, glancing = 0 }: NonAutoregressiveLossOptions = {},
): LossProgram {
  if (!(glancing >= 0 && glancing <= 1))
    throw new ConfigError("training.glancing", `expected a number from 0 to 1, got ${glancing}.`);
  const idle = noGlancing(model.options);
  if (glancing > 0 && idle !== undefined) throw new ConfigError("training.glancing", `has no effect with ${idle}.`);
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const targetIds = input("targetIds", "int32", [dim("batch"), dim("targetLength")]);
  const tokenWeight = input("tokenWeight", "float32", []);
  const labels = slice(targetIds, { axis: 1, start: 1 });
  const reports = new PassReports();
  const encoded = model.encode(sourceIds, reports);
  const lesson = {
    model,
    sourceIds,
    encoded,
    memory: model.decoder.memoryKeysAndValues(encoded.memories),
    labels,
    counts: notPadding(labels, model.pad),
    tokenWeight,
    labelSmoothing,
    glancing,
    reports,
  };
  return { inputs: { sourceIds, targetIds, tokenWeight }, ...losses[model.options.length](lesson) };
}

/** What the decoder makes of every place of a canvas [batch, time]: [batch, time, dModel]. */
function filled({ model, sourceIds, memory }: Lesson, canvas: Tensor, reports?: PassReports): Tensor {
  const [batch, time] = canvas.shape as readonly [Dim, Dim];
  return model.fillFrom(memory, sourceIds, reshape(canvas, [batch, 1, time]), reports).output;
}

/**
 * Cross-entropy of every token, END included, on a canvas of the true length, and the loss of the length predictor. Where the
 * canvas shows some of the tokens, only of the others, which then stand for all.
 */
function atTrueLength(lesson: Lesson): Taught {
  const { model, encoded, labels, counts, tokenWeight, labelSmoothing, reports } = lesson;
  const { start, pad: padding, decoderInput } = model.options;
  const lengths = model.lengths!;
  const sourceTokens = tokensOf(encoded.keys);
  lengths.learn(
    lengths.forward(encoded.memory, sourceTokens),
    { source: sourceTokens, target: tokensOf(counts) },
    reports,
  );
  const empty = where(counts, whole(start), whole(padding));
  const asked = decoderInput === "masked" ? drawnMasks(counts) : unseen(lesson, empty, labels, counts);
  const canvas = where(asked, empty, labels);
  return tokenLoss({
    hidden: filled(lesson, canvas, reports),
    labels: where(asked, labels, whole(padding)),
    ignored: padding,
    output: model.outputLayer(),
    tokenWeight: standingForAll(tokenWeight, counts, asked),
    labelSmoothing,
    reports,
  });
}

/**
 * Which tokens are hidden, bool [batch, time]: of n tokens a number drawn evenly from 1 … n, and which ones, evenly too.
 * (Ghazvininejad et al. 2019, "Mask-Predict", section 3.2.) Outside of training all are.
 */
export function drawnMasks(counts: Tensor): Tensor {
  const tokens = cast(reshape(tokensOf(counts), [counts.shape[0]!, 1]), "float32");
  const hidden = add(floor(mul(drawn([counts.shape[0]!, 1]), tokens)), 1); // [batch, 1]
  return phase(and(less(drawnOrder(counts), hidden), counts), counts);
}

/**
 * Which places are still asked for once the model has glanced at the target, bool [batch, time]: it fills the empty canvas, and of
 * the places where it writes another token than the one `wanted`, a share is shown, though not the same places: any of
 * `places`, drawn evenly. Outside of training all are asked for.
 */
function unseen(lesson: Lesson, empty: Tensor, wanted: Tensor, places: Tensor): Tensor {
  if (lesson.glancing === 0) return places;
  const { table, bias } = lesson.model.outputLayer();
  const { ids } = topK(affine(filled(lesson, empty), table, bias, { transposeB: true }), 1); // [batch, time, 1]
  const missed = and(not(equal(cast(reshape(ids, wanted.shape), "int32"), wanted)), places);
  const shown = floor(mul(cast(reshape(tokensOf(missed), [places.shape[0]!, 1]), "float32"), lesson.glancing));
  return phase(and(not(less(drawnOrder(places), shown)), places), places);
}

/** The weight of a place that is asked for, so that those which are stand for all. */
function standingForAll(tokenWeight: Tensor, places: Tensor, asked: Tensor): Tensor {
  if (asked === places) return tokenWeight;
  return mul(tokenWeight, div(sum(cast(places, "float32")), maximum(sum(cast(asked, "float32")), 1)));
}

/** A random order of each row's true places, anew in every training step: their ranks from 0, float32 [batch, time]. */
function drawnOrder(counts: Tensor): Tensor {
  const [batch, time] = counts.shape as readonly [Dim, Dim];
  // A place's rank among its row's draws; of padding none is counted.
  const draws = drawn([batch, time]);
  const isBelow = less(reshape(draws, [batch, 1, time]), reshape(draws, [batch, time, 1]));
  const below = and(isBelow, reshape(counts, [batch, 1, time])); // [batch, place, other]
  return sum(cast(below, "float32"), { axes: [2] });
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
function inBlock(lesson: Lesson): Taught {
  const { model, sourceIds, labels, counts, tokenWeight, labelSmoothing, reports } = lesson;
  const { end } = model.options;
  const empty = model.emptyBlock(sourceIds);
  const [batch, time] = empty.shape as readonly [Dim, Dim];
  const inTarget = less(reshape(range(time), [1, time]), reshape(tokensOf(counts), [batch, 1]));
  const isPlace = notPadding(empty, model.pad);
  // Long enough for either, then cut to the block: targets longer than it lose their ends.
  const wide = slice(pad(labels, { axis: 1, after: time }), { axis: 1, end: time });
  const wanted = where(inTarget, wide, whole(end));
  const asked = unseen(lesson, empty, wanted, isPlace);
  const places = sizeOf([batch, time]);
  const { table, bias } = model.outputLayer();
  const hidden = filled(lesson, where(and(isPlace, not(asked)), wanted, empty), reports);
  const { loss, negativeLogLikelihood } = linearCrossEntropy(
    reshape(hidden, [places, hidden.shape[2]!]),
    table,
    reshape(wanted, [places]),
    { smoothing: labelSmoothing, bias },
  );
  const weight = standingForAll(tokenWeight, isPlace, asked);
  const weighted = (kept: Tensor): Tensor => where(reshape(kept, [places]), weight, scalar(0));
  return withReports(reports, {
    loss: sum(mul(loss, weighted(asked))),
    figures: { negativeLogLikelihood: sum(mul(negativeLogLikelihood, weighted(and(asked, inTarget)))) },
    share: shareOf(counts, tokenWeight),
  });
}

/** −ln of the sum over all ways in which the block can be read as the target; END is not written. Libovický and Helcl 2018. */
function overAlignments(lesson: Lesson): Taught {
  const { model, sourceIds, labels, counts, tokenWeight, labelSmoothing, reports } = lesson;
  if (labelSmoothing > 0)
    throw new ConfigError("training.labelSmoothing", "has no effect with model.length ctc. Set it to 0.");
  const { start, end } = model.options;
  const canvas = model.emptyBlock(sourceIds);
  const { loss, reachable } = linearCtc(filled(lesson, canvas, reports), {
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
