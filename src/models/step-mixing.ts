// A mixer asked for one token: attention to what the cache holds, or one turn of a recurrent state.
import { ConfigError } from "../base/index.ts";
import {
  add,
  addDims,
  affine,
  concat,
  matmul,
  mul,
  range,
  reshape,
  slice,
  softmax,
  transpose,
  type Dim,
  type Tensor,
} from "../tensor/index.ts";
import {
  isRecurrent,
  maskBias,
  mergeQueries,
  MultiHeadAttention,
  queriesByHead,
  stepAttention,
  type AttentionPositions,
  type KeyValue,
  type Linear,
  type Mixed,
  type Mixer,
} from "../nn/index.ts";
import type { StepTrace } from "./step-trace.ts";

/** x [rows, dModel] → [rows, dModel]: what `mixer` gives for this token, given all before it. */
export function stepMix(
  trace: StepTrace,
  mixer: Mixer,
  x: Tensor,
  { layer, positions }: { layer: number; positions: AttentionPositions | undefined },
): Mixed {
  if (mixer instanceof MultiHeadAttention) {
    if (positions !== undefined && positions.isRelative !== true) trace.countsPlaces("positions");
    if (mixer.kernel.keeps !== undefined && mixer.kernel.isRelative !== true) trace.countsPlaces(mixer.kernel.name);
    return stepSelfAttention(trace, mixer, x, positions);
  }
  if (isRecurrent(mixer)) {
    if (mixer.isRelative !== true) trace.countsPlaces(`layer ${layer}`);
    const state = Object.fromEntries(
      Object.entries(mixer.state).map(([name, shape]) => [name, trace.state(`${layer}.${name}`, shape)]),
    );
    const next = mixer.step(x, state, trace.position);
    for (const [name, value] of Object.entries(next.state)) trace.leave(`${layer}.${name}`, value);
    return { output: next.output };
  }
  throw new ConfigError(
    `layer ${layer}`,
    "its mixer has no form for one token at a time, so this model cannot be decoded. Give it a `step` (see RecurrentMixer).",
  );
}

function stepSelfAttention(
  trace: StepTrace,
  attention: MultiHeadAttention,
  x: Tensor,
  positions: AttentionPositions | undefined,
): Mixed {
  const { kernel, keyValueHeads, dHead } = attention;
  const { query, key, value } = projections(attention, x, trace.beams); // [beams, batch, heads or keyValueHeads, dHead]
  const shape = { heads: keyValueHeads, dHead, reach: kernel.reach };
  const bias = stepBias(trace, attention, positions);
  const attended = (asked: Tensor, kept: KeyValue): Mixed => {
    const { context, weights } = stepAttention(asked, kept.key, kept.value, bias);
    return { output: attention.output.forward(context), weights };
  };
  const turn = positions?.turn?.bind(positions);
  if (turn === undefined) return attended(query, trace.remember({ key, value }, shape));
  if (trace.stream === undefined) {
    const turned = { key: turn(key, trace.position, "key"), value };
    return attended(turn(query, trace.position, "query"), trace.remember(turned, shape));
  }
  // Keys move up in the cache, so they are kept as they are and turned where they stand now.
  const kept = trace.remember({ key, value }, shape);
  const inTime = transpose(kept.key, [1, 2, 0, 3]); // [batch, keyValueHeads, entries + 1, dHead]
  const turnedKey = transpose(turn(inTime, keyPlaces(trace), "key"), [2, 0, 1, 3]);
  return attended(turn(query, queryPlace(trace), "query"), { key: turnedKey, value: kept.value });
}

/** Where this token stands: int32 [1]. */
function queryPlace(trace: StepTrace): Tensor {
  if (trace.stream === undefined) return trace.position;
  const places = keyPlaces(trace);
  return slice(places, { axis: 0, start: trace.entries });
}

/** Where the tokens stand that it looks at, itself included: int32 [entries + beams]. */
function keyPlaces(trace: StepTrace): Tensor {
  return trace.stream === undefined ? trace.entryPositions : range(addDims(trace.entries, 1));
}

/** What is added to this token's scores: broadcasts to [batch, heads, beams, entries + beams]. */
function stepBias(
  trace: StepTrace,
  { kernel }: MultiHeadAttention,
  positions: AttentionPositions | undefined,
): Tensor | undefined {
  const parts: Tensor[] = [];
  if (trace.visible !== undefined) parts.push(trace.visible);
  const queryPositions = queryPlace(trace);
  if (kernel.keeps !== undefined) {
    const keyPositions = keyPlaces(trace);
    const question = { queryPositions, keyPositions, isCausal: true, keyTime: keyPositions.shape[0]! };
    parts.push(maskBias(kernel.keeps(question))); // [1, entries + beams]
  }
  if (positions?.bias !== undefined) {
    const bias = positions.bias(queryPositions, keyPlaces(trace)); // [heads, 1, entries + beams]
    parts.push(reshape(bias, [1, ...bias.shape]));
  }
  return parts.length === 0 ? undefined : parts.reduce((a, b) => add(a, b));
}

/**
 * Attention to what was read before: `memory` holds keys [batch, keyValueHeads, dHead, time], ready to be multiplied with
 * queries, and values [batch, keyValueHeads, time, dHead]; bias [batch, 1, 1, time]. The beams of a sentence are queries side by
 * side, so its keys and values are not repeated for them.
 */
export function stepCrossAttention(
  trace: StepTrace,
  attention: MultiHeadAttention,
  x: Tensor,
  { key, value }: KeyValue,
  bias: Tensor,
): Mixed {
  const { heads, keyValueHeads, dHead } = attention;
  const { beams, batch } = trace;
  const asked = project(attention.query, x, 1 / Math.sqrt(dHead));
  const query = queriesByHead(reshape(asked, [beams, batch, heads, dHead])); // [batch, heads, beams, dHead]
  trace.asked.push(query);
  if (heads === keyValueHeads) {
    const weights = softmax(add(matmul(query, key), bias));
    trace.looked.push(weights);
    return { output: attention.output.forward(mergeQueries(matmul(weights, value))), weights };
  }
  // Heads that share keys ask them side by side.
  const grouped = reshape(query, [batch, keyValueHeads, (heads / keyValueHeads) * beams, dHead]);
  const weights = softmax(add(matmul(grouped, key), bias));
  const context = reshape(matmul(weights, value), [batch, heads, beams, dHead]);
  const time = key.shape[3] as Dim;
  const byHead = reshape(weights, [batch, heads, beams, time]);
  trace.looked.push(byHead);
  return { output: attention.output.forward(mergeQueries(context)), weights: byHead };
}

interface Projection {
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
}

/** A linear layer with a factor in its weights: where they are frozen the runtime multiplies them once and for all. */
function scaled({ weight, bias }: Linear, scale: number): Projection {
  if (scale === 1) return { weight: weight.value, bias: bias?.value };
  return { weight: mul(weight.value, scale), bias: bias && mul(bias.value, scale) };
}

/** scale · (x W + b), and what an adapter adds. */
function project(linear: Linear, x: Tensor, scale: number): Tensor {
  if (linear.adapter !== undefined) return scale === 1 ? linear.forward(x) : mul(linear.forward(x), scale);
  const { weight, bias } = scaled(linear, scale);
  return affine(x, weight, bias);
}

/**
 * Scaled query, key and value, [beams, batch, heads or keyValueHeads, dHead] each: in one product, for which the runtime joins
 * the weights once and for all where they are frozen; one by one where adapters add something of their own.
 */
function projections(
  attention: MultiHeadAttention,
  x: Tensor,
  beams: number,
): { query: Tensor; key: Tensor; value: Tensor } {
  const { heads, keyValueHeads, dHead } = attention;
  const layers = [
    { linear: attention.query, count: heads, scale: 1 / Math.sqrt(dHead) },
    { linear: attention.key, count: keyValueHeads, scale: 1 },
    { linear: attention.value, count: keyValueHeads, scale: 1 },
  ];
  if (layers.some(({ linear }) => linear.adapter !== undefined)) {
    const [query, key, value] = layers.map(({ linear, count, scale }) =>
      reshape(project(linear, x, scale), [beams, -1, count, dHead]),
    );
    return { query: query!, key: key!, value: value! };
  }
  const parts = layers.map(({ linear, scale }) => scaled(linear, scale));
  const weight = concat(
    parts.map((part) => part.weight),
    1,
  );
  const offsets = parts.flatMap(({ bias }) => bias ?? []);
  const bias = offsets.length === 0 ? undefined : concat(offsets, 0);
  const joined = reshape(affine(x, weight, bias), [beams, -1, heads + 2 * keyValueHeads, dHead]);
  let start = 0;
  const [query, key, value] = layers.map(({ count }) => slice(joined, { axis: 2, start, end: (start += count) }));
  return { query: query!, key: key!, value: value! };
}
