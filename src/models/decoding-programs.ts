// Decoding as two programs: one reads the source once, one writes a token for every hypothesis.
import {
  add,
  affine,
  concat,
  dim,
  gather,
  input,
  logSoftmax,
  mul,
  mulDims,
  reshape,
  scalar,
  slice,
  topK,
  type Program,
  type Tensor,
} from "../tensor/index.ts";
import {
  namedParameters,
  parameterInputs,
  scaledDotProduct,
  singleQueryAttention,
  type KeyValue,
  type MultiHeadAttention,
} from "../nn/index.ts";
import type { Transformer } from "./transformer.ts";

/**
 * The source, read once: `sourceIds` [batch, sourceTime] → keys and values of every decoder layer, `key.0`, `value.0` …
 * [batch, heads, sourceTime, dHead], and `bias` [batch, 1, 1, sourceTime].
 */
export function sourceProgram(model: Transformer): Program {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const { memory, bias } = model.encode(sourceIds);
  const outputs: Record<string, Tensor> = { bias };
  for (const [i, { key, value }] of model.decoder.memoryKeysAndValues(memory).entries()) {
    outputs[`key.${i}`] = key;
    outputs[`value.${i}`] = value;
  }
  return { name: "source", inputs: { ...parameterInputs(namedParameters(model)), sourceIds }, outputs };
}

/** What a step gives: every token's score, before or after the softmax, or that many best tokens. */
export type Wanted = "logits" | "logProbabilities" | number;

export interface StepOptions {
  /** What a step gives. */
  wanted: Wanted;
  /** Hypotheses a sentence. */
  beams: number;
}

/**
 * One token for every hypothesis, `batch` sentences with `beams` hypotheses each; rows = batch · beams, sentence-major.
 *
 * Inputs: `tokens` [batch, beams], `position` [1], what `sourceProgram` gave, and the keys and values of earlier steps as one
 * table: `cache` [entries, dModel] with, for earlier step t, layer l and slot s, a key at ((t · layers + l) · slots + s) · 2
 * and its value after it. `ancestry` [rows, past] names for every hypothesis and earlier
 * step the slot of layer 0, t · layers · slots + s, and `slots` [1] their number: so reordering beams is choosing other
 * entries, and nothing is ever moved.
 * Outputs: `cacheRows` [layers, rows, 2 · dModel], and `scores` [rows, vocabulary] or the best [rows, wanted] with their `ids`.
 */
export function stepProgram(model: Transformer, { wanted, beams }: StepOptions): Program {
  const { dModel } = model.options;
  const batch = dim("batch");
  const past = dim("past");
  const rows = mulDims(batch, beams);
  const tokens = input("tokens", "int32", [batch, beams]);
  const position = input("position", "int32", [1]);
  const cache = input("cache", "float32", [dim("entries"), dModel]);
  const ancestry = input("ancestry", "int32", [rows, past]);
  const slots = input("slots", "int32", [1]);
  const bias = input("bias", "float32", [batch, 1, 1, dim("sourceTime")]);
  const inputs: Record<string, Tensor> = { tokens, position, cache, ancestry, slots, bias };
  const memory = model.decoder.layers.map(({ crossAttention }, i) => {
    const shape = [batch, crossAttention.heads, dim("sourceTime"), crossAttention.dHead];
    const key = (inputs[`key.${i}`] = input(`key.${i}`, "float32", shape));
    const value = (inputs[`value.${i}`] = input(`value.${i}`, "float32", shape));
    return { key, value };
  });

  const firstEntries = mul(ancestry, scalar(2, "int32")); // of layer 0's keys: [rows, past]
  const newRows: Tensor[] = [];
  const selfAttend = (attention: MultiHeadAttention, x: Tensor): { output: Tensor; weights: Tensor } => {
    const layer = newRows.length;
    const { query, key, value } = projections(attention, x); // each [rows, dModel]
    newRows.push(reshape(concat([key, value], 1), [1, rows, 2 * dModel]));
    const keyEntries = layer === 0 ? firstEntries : add(firstEntries, mul(slots, scalar(2 * layer, "int32")));
    const remembered = (now: Tensor, entries: Tensor): Tensor =>
      concat([gather(cache, entries), reshape(now, [rows, 1, dModel])], 1); // [rows, past + 1, dModel]
    const { context, weights } = singleQueryAttention(
      query,
      remembered(key, keyEntries),
      remembered(value, add(keyEntries, scalar(1, "int32"))),
      attention,
    );
    return { output: attention.output.forward(context), weights };
  };
  // The beams of a sentence are queries side by side, so its keys and values are not repeated for them.
  const crossAttend = (
    attention: MultiHeadAttention,
    x: Tensor,
    keyValue: KeyValue,
  ): { output: Tensor; weights: Tensor } => {
    const query = attention.splitHeads(reshape(attention.query.forward(x), [batch, beams, dModel]));
    const { context, weights } = scaledDotProduct(query, keyValue.key, keyValue.value, { bias });
    return { output: attention.output.forward(reshape(attention.mergeHeads(context), [rows, dModel])), weights };
  };
  // Rows stay two-dimensional between attentions: at one token a hypothesis every reshape counts.
  const { output } = model.decoder.forward(model.target.forward(reshape(tokens, [rows]), position), (layer) => ({
    self: selfAttend,
    cross: (attention, x) => crossAttend(attention, x, memory[layer]!),
  }));
  const logits = model.logits(output);
  const outputs: Record<string, Tensor> = { cacheRows: concat(newRows, 0) };
  if (wanted === "logits") outputs.scores = logits;
  else if (wanted === "logProbabilities") outputs.scores = logSoftmax(logits);
  else {
    const { values, ids } = topK(logSoftmax(logits), wanted);
    outputs.scores = values;
    outputs.ids = ids;
  }
  return {
    name: `step ${wanted} × ${beams}`,
    inputs: { ...parameterInputs(namedParameters(model)), ...inputs },
    outputs,
  };
}

/** Query, key and value in one product; where the weights are frozen the runtime joins them once and for all. */
function projections(attention: MultiHeadAttention, x: Tensor): { query: Tensor; key: Tensor; value: Tensor } {
  const parts = [attention.query, attention.key, attention.value];
  const width = attention.heads * attention.dHead;
  const weight = concat(
    parts.map((part) => part.weight.value),
    1,
  );
  const joined = affine(
    x,
    weight,
    concat(
      parts.map((part) => part.bias!.value),
      0,
    ),
  ); // [rows, 3 · dModel]
  const [query, key, value] = [0, 1, 2].map((i) => slice(joined, { axis: 1, start: i * width, end: (i + 1) * width }));
  return { query: query!, key: key!, value: value! };
}
