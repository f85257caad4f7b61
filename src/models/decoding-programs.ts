// Decoding as two programs: one reads the source once, one writes a token for every hypothesis.
import { affine, concat, dim, input, logSoftmax, topK, type Program, type Tensor } from "../tensor/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import { listedLogits } from "./listed-outputs.ts";
import type { SequenceToSequence, Writer } from "./sequence-to-sequence.ts";
import { sourceAttention, type SourceAttentionChoice } from "./source-attention.ts";
import { StepTrace, type StreamReach } from "./step-trace.ts";

/** The source, read once: `sourceIds` [batch, sourceTime] → what the model's steps want of it. */
export function sourceProgram(model: SequenceToSequence): Program {
  const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
  return {
    name: "source",
    inputs: { ...parameterInputs(namedParameters(model)), sourceIds },
    outputs: model.readSource(sourceIds),
  };
}

/** What a step gives: every token's score, before or after the softmax, or that many best tokens. */
export type Wanted = "logits" | "logProbabilities" | number;

export interface StepOptions {
  /** What a step gives. */
  wanted: Wanted;
  /** Hypotheses a sentence. */
  beams: number;
  /** Where a text without end is read. */
  stream?: StreamReach | undefined;
  /** Sentences joined at unlike times, so that not all see all entries. */
  isRagged?: boolean;
  /** Also gives where the rows looked in the source, by this layer and head. */
  attention?: SourceAttentionChoice | undefined;
  /** Only some tokens are scored. */
  isListed?: boolean;
}

/**
 * One token for every hypothesis, `batch` sentences with `beams` hypotheses each; rows = beams · batch, beam by beam.
 *
 * Inputs: `tokens` [rows], `position` [1], `places` [rows], what `sourceProgram` gave, and what earlier steps left: keys and values
 * `pastKey.0`, `pastValue.0` … [entries, batch, heads, dHead] with entries = steps · beams, each step appending the rows of all
 * its hypotheses; states `state.…` [parentRows, ..] with `parents` [rows], the row that each row continues; with `isListed` what
 * `listedLogits` asks for.
 * Outputs: `newEntries` [2 · layers · beams, batch, heads, dHead], each layer's keys and then its values; `newState.…`;
 * `scores` [rows, vocabulary or listed], or the best [rows, wanted] with their `ids`, or places in the list; `attention`
 * [rows, sourceTime] where it is asked for.
 */
export function stepProgram(
  model: Writer,
  { wanted, beams, stream, isRagged, attention, isListed }: StepOptions,
): Program {
  const trace = new StepTrace(beams, stream, isRagged);
  const hidden = model.step(trace);
  const logits = isListed === true ? listedLogits(model, trace, hidden) : outputLogits(model, hidden);
  const outputs: Record<string, Tensor> = {};
  if (trace.newEntries.length > 0) outputs.newEntries = concat(trace.newEntries, 0);
  for (const [name, state] of Object.entries(trace.newStates)) outputs[`newState.${name}`] = state;
  if (attention !== undefined) outputs.attention = sourceAttention(trace, attention);
  if (wanted === "logits") outputs.scores = logits;
  else if (wanted === "logProbabilities") outputs.scores = logSoftmax(logits);
  else {
    const { values, ids } = topK(logSoftmax(logits), wanted);
    outputs.scores = values;
    outputs.ids = ids;
  }
  return {
    name: `step ${wanted} × ${beams}`,
    inputs: { ...parameterInputs(namedParameters(model)), ...trace.inputs },
    outputs,
  };
}

function outputLogits(model: Writer, hidden: Tensor): Tensor {
  const { table, bias } = model.outputLayer();
  return affine(hidden, table, bias, { transposeB: true });
}
