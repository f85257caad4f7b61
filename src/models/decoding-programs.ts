// Decoding as two programs: one reads the source once, one writes a token for every hypothesis.
import { add, concat, dim, gather, input, logSoftmax, mul, mulDims, range, reshape, scalar, topK, type Program, type Tensor } from "../tensor/index.ts";
import { namedParameters, parameterInputs, scaledDotProduct, type MultiHeadAttention } from "../nn/index.ts";
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

/**
 * One token for every hypothesis, `batch` sentences with `beams` hypotheses each; rows = batch · beams.
 *
 * Inputs: `tokens` [batch, beams], `position` [1], what `sourceProgram` gave, and the keys and values of earlier steps as one
 * table: `cache` [entries, dHead] with, for earlier step t, block b (key of layer 0, value of layer 0, key of layer 1 …) and
 * slot s, `heads` entries from ((t · blocks + b) · slots + s) · heads on. `ancestry` [batch, beams, past] names for every
 * hypothesis and earlier step the entry of its block 0, divided by heads, and `slots` [1] their number: so reordering beams
 * is choosing other entries, and nothing is ever moved.
 * Outputs: `cacheRows` [blocks, rows, dModel], and `scores` [rows, vocabulary] or the best [rows, wanted] with their `ids`.
 */
export function stepProgram(model: Transformer, wanted: Wanted): Program {
  const { dModel } = model.options;
  const batch = dim("batch");
  const beams = dim("beams");
  const past = dim("past");
  const rows = mulDims(batch, beams);
  const { heads, dHead } = model.decoder.layers[0]!.selfAttention;
  const tokens = input("tokens", "int32", [batch, beams]);
  const position = input("position", "int32", [1]);
  const cache = input("cache", "float32", [dim("entries"), dHead]);
  const ancestry = input("ancestry", "int32", [batch, beams, past]);
  const slots = input("slots", "int32", [1]);
  const bias = input("bias", "float32", [batch, 1, 1, dim("sourceTime")]);
  const inputs: Record<string, Tensor> = { tokens, position, cache, ancestry, slots, bias };
  const memory = model.decoder.layers.map(({ crossAttention }, i) => {
    const shape = [batch, crossAttention.heads, dim("sourceTime"), crossAttention.dHead];
    const key = (inputs[`key.${i}`] = input(`key.${i}`, "float32", shape));
    const value = (inputs[`value.${i}`] = input(`value.${i}`, "float32", shape));
    return { key, value };
  });

  const blockRows: Tensor[] = [];
  // Entries of block 0: [rows, heads, past]; block b lies b · slots · heads further on.
  const firstEntries = add(
    mul(reshape(ancestry, [rows, 1, past]), scalar(heads, "int32")),
    reshape(range(heads), [1, heads, 1]),
  );
  const stride = mul(slots, scalar(heads, "int32"));
  const remembered = (x: Tensor): Tensor => {
    const block = blockRows.length;
    blockRows.push(reshape(x, [1, rows, dModel]));
    const earlier = gather(cache, block === 0 ? firstEntries : add(firstEntries, mul(stride, scalar(block, "int32"))));
    return concat([earlier, reshape(x, [rows, heads, 1, dHead])], 2); // [rows, heads, past + 1, dHead]
  };
  const selfAttend = (attention: MultiHeadAttention, x: Tensor): { output: Tensor; weights: Tensor } => {
    const query = reshape(attention.query.forward(x), [rows, heads, 1, dHead]);
    const key = remembered(attention.key.forward(x));
    const value = remembered(attention.value.forward(x));
    const { context, weights } = scaledDotProduct(query, key, value);
    return { output: attention.output.forward(reshape(context, [batch, beams, dModel])), weights };
  };
  // The beams of a sentence are queries side by side, so its keys and values are not repeated for them.
  const { output } = model.decoder.forward(model.target.forward(tokens, position), (layer) => ({
    self: selfAttend,
    cross: (attention, x) => attention.attend(attention.splitHeads(attention.query.forward(x)), memory[layer]!, bias),
  }));
  const logits = model.logits(reshape(output, [rows, dModel]));
  const outputs: Record<string, Tensor> = { cacheRows: concat(blockRows, 0) };
  if (wanted === "logits") outputs.scores = logits;
  else if (wanted === "logProbabilities") outputs.scores = logSoftmax(logits);
  else {
    const { values, ids } = topK(logSoftmax(logits), wanted);
    outputs.scores = values;
    outputs.ids = ids;
  }
  return { name: `step-${wanted}`, inputs: { ...parameterInputs(namedParameters(model)), ...inputs }, outputs };
}
