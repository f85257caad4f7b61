// Decoding as two programs: one reads the source once, one writes a token for every hypothesis.
import {
  add,
  addDims,
  affine,
  concat,
  dim,
  input,
  logSoftmax,
  matmul,
  mul,
  mulDims,
  reshape,
  slice,
  softmax,
  topK,
  transpose,
  type Program,
  type Tensor,
} from "../tensor/index.ts";
import {
  mergeQueries,
  namedParameters,
  parameterInputs,
  queriesByHead,
  stepAttention,
  type KeyValue,
  type Linear,
  type MultiHeadAttention,
} from "../nn/index.ts";
import type { Transformer } from "./transformer.ts";

/**
 * The source, read once: `sourceIds` [batch, sourceTime] → keys of every decoder layer `key.0`, `key.1` … [batch, heads, dHead,
 * sourceTime], ready to be multiplied with queries, values `value.0` … [batch, heads, sourceTime, dHead], and `bias`
 * [batch, 1, 1, sourceTime].
 */
export function sourceProgram(model: Transformer): Program {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  const { memory, bias } = model.encode(sourceIds);
  const outputs: Record<string, Tensor> = { bias };
  for (const [i, { key, value }] of model.decoder.memoryKeysAndValues(memory).entries()) {
    outputs[`key.${i}`] = transpose(key, [0, 1, 3, 2]);
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
 * One token for every hypothesis, `batch` sentences with `beams` hypotheses each; rows = beams · batch, beam by beam.
 *
 * Inputs: `tokens` [rows], `position` [1], what `sourceProgram` gave, and the keys and values of earlier steps,
 * `pastKey.0`, `pastValue.0` … [entries, batch, heads, dHead] with entries = steps · beams: each step appends the rows of all
 * its hypotheses. With several beams `visible` [batch, 1, beams, entries + beams] says which entries each hypothesis descends
 * from: 0 for its own and large and negative elsewhere, so reordering beams moves nothing.
 * Outputs: `newEntries` [2 · layers · beams, batch, heads, dHead], each layer's keys and then its values; `scores`
 * [rows, vocabulary] or the best [rows, wanted] with their `ids`.
 */
export function stepProgram(model: Transformer, { wanted, beams }: StepOptions): Program {
  const [batch, entries, sourceTime] = [dim("batch"), dim("entries"), dim("sourceTime")];
  const rows = mulDims(batch, beams);
  const tokens = input("tokens", "int32", [rows]);
  const position = input("position", "int32", [1]);
  const bias = input("bias", "float32", [batch, 1, 1, sourceTime]);
  const inputs: Record<string, Tensor> = { tokens, position, bias };
  const given = (name: string, shape: Tensor["shape"]): Tensor => (inputs[name] = input(name, "float32", shape));
  const visible = beams > 1 ? given("visible", [batch, 1, beams, addDims(entries, beams)]) : undefined;

  const newEntries: Tensor[] = [];
  const selfAttend = (attention: MultiHeadAttention, x: Tensor, layer: number) => {
    const { heads, dHead } = attention;
    const { query, key, value } = projections(attention, x, beams); // each [beams, batch, heads, dHead]
    newEntries.push(key, value);
    const withPast = (name: string, now: Tensor): Tensor =>
      concat([given(`${name}.${layer}`, [entries, batch, heads, dHead]), now], 0);
    const { context, weights } = stepAttention(query, withPast("pastKey", key), withPast("pastValue", value), visible);
    return { output: attention.output.forward(context), weights };
  };
  // The beams of a sentence are queries side by side, so its keys and values are not repeated for them.
  const crossAttend = (attention: MultiHeadAttention, x: Tensor, { key, value }: KeyValue) => {
    const { weight, bias: offset } = scaledQuery(attention);
    const query = reshape(affine(x, weight, offset), [beams, batch, attention.heads, attention.dHead]);
    const weights = softmax(add(matmul(queriesByHead(query), key), bias));
    return { output: attention.output.forward(mergeQueries(matmul(weights, value))), weights };
  };
  const memory = model.decoder.layers.map(({ crossAttention: { heads, dHead } }, i) => ({
    key: given(`key.${i}`, [batch, heads, dHead, sourceTime]),
    value: given(`value.${i}`, [batch, heads, sourceTime, dHead]),
  }));
  // Rows stay two-dimensional between attentions: at one token a hypothesis every reshape counts.
  const { output } = model.decoder.forward(model.target.forward(tokens, position), (layer) => ({
    self: (attention, x) => selfAttend(attention, x, layer),
    cross: (attention, x) => crossAttend(attention, x, memory[layer]!),
  }));
  const logits = model.logits(output);
  const outputs: Record<string, Tensor> = { newEntries: concat(newEntries, 0) };
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

interface Projection {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

const projection = ({ weight, bias }: Linear): Projection => ({ weight: weight.value, bias: bias!.value });

/** The query's projection with 1/√dHead in its weights: where they are frozen the runtime scales them once and for all. */
function scaledQuery({ query, dHead }: MultiHeadAttention): Projection {
  const { weight, bias } = projection(query);
  const scale = 1 / Math.sqrt(dHead);
  return { weight: mul(weight, scale), bias: mul(bias, scale) };
}

/**
 * Scaled query, key and value in one product, [beams, batch, heads, dHead] each; where the weights are frozen the runtime joins
 * them once and for all.
 */
function projections(
  attention: MultiHeadAttention,
  x: Tensor,
  beams: number,
): { query: Tensor; key: Tensor; value: Tensor } {
  const { heads, dHead } = attention;
  const parts = [scaledQuery(attention), projection(attention.key), projection(attention.value)];
  const weight = concat(
    parts.map((part) => part.weight),
    1,
  );
  const bias = concat(
    parts.map((part) => part.bias),
    0,
  );
  const joined = reshape(affine(x, weight, bias), [beams, -1, 3 * heads, dHead]);
  const [query, key, value] = [0, 1, 2].map((i) => slice(joined, { axis: 2, start: i * heads, end: (i + 1) * heads }));
  return { query: query!, key: key!, value: value! };
}
