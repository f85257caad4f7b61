// Forced decoding: what a model thinks of targets that are given.
import type { HostTensor } from "../base/index.ts";
import { compile, type Executable, type SessionOptions } from "../engine/index.ts";
import type { SequenceToSequence } from "../models/index.ts";
import { namedParameters, parameterInputs } from "../nn/index.ts";
import {
  dim,
  input,
  linearCrossEntropy,
  neg,
  reshape,
  sizeOf,
  slice,
  subDims,
  withoutDropout,
} from "../tensor/index.ts";
import type { Weights } from "./learning.ts";
import { batchesByLength } from "./translation-sentences.ts";

/** A source, END last, and a target, START first and END last. */
export interface PairToScore {
  readonly source: readonly number[];
  readonly target: readonly number[];
}

/** Computes log p of every token of targets given their sources, by teacher forcing in one pass. */
export class TargetScorer {
  readonly #pad: number;
  readonly #executable: Promise<Executable>;

  constructor(model: SequenceToSequence, session: SessionOptions = {}) {
    this.#pad = model.pad;
    const sourceIds = input("sourceIds", "int32", [dim("batch"), dim("sourceTime")]);
    const targetIds = input("targetIds", "int32", [dim("batch"), dim("targetLength")]);
    const { hidden } = model.teacherForced(
      sourceIds,
      slice(targetIds, { axis: 1, end: subDims(targetIds.shape[1]!, 1) }),
    );
    const labels = slice(targetIds, { axis: 1, start: 1 }); // [batch, time]
    const places = sizeOf(labels.shape);
    const { table, bias } = model.outputLayer();
    const { negativeLogLikelihood } = linearCrossEntropy(
      reshape(hidden, [places, hidden.shape.at(-1)!]),
      table,
      reshape(labels, [places]),
      { bias },
    );
    const program = {
      name: "score targets",
      inputs: { ...parameterInputs(namedParameters(model)), sourceIds, targetIds },
      outputs: { logProbabilities: reshape(neg(negativeLogLikelihood), labels.shape) },
    };
    this.#executable = compile(withoutDropout(program), session);
  }

  /** For each pair the log-probabilities of `target`'s tokens after START; pairs of like length are run together. */
  async score(weights: Weights, pairs: readonly PairToScore[], batchTokens: number): Promise<number[][]> {
    const lengths = pairs.map(({ source, target }) => Math.max(target.length, source.length));
    const results: number[][] = pairs.map(() => []);
    for (const batch of batchesByLength(lengths, { mostTokens: batchTokens })) {
      const rows = await this.#run(
        weights,
        batch.map((i) => pairs[i]!),
      );
      for (const [row, i] of batch.entries()) results[i] = rows[row]!;
    }
    return results;
  }

  async #run(weights: Weights, pairs: readonly PairToScore[]): Promise<number[][]> {
    const executable = await this.#executable;
    const { logProbabilities } = await executable.run({
      ...Object.fromEntries(weights),
      sourceIds: idRows(
        pairs.map(({ source }) => source),
        this.#pad,
      ),
      targetIds: idRows(
        pairs.map(({ target }) => target),
        this.#pad,
      ),
    });
    const { dims, data } = logProbabilities as HostTensor<"float32">;
    const time = dims[1]!;
    return pairs.map(({ target }, row) => [...data.subarray(row * time, row * time + target.length - 1)]);
  }

  async dispose(): Promise<void> {
    await (await this.#executable).dispose();
  }
}

/** Rows of ids as one padded tensor [rows, longest]. */
export function idRows(rows: readonly (readonly number[])[], pad: number): HostTensor<"int32"> {
  const time = Math.max(...rows.map((row) => row.length));
  const data = new Int32Array(rows.length * time).fill(pad);
  rows.forEach((row, i) => data.set(row, i * time));
  return { dtype: "int32", dims: [rows.length, time], data };
}
