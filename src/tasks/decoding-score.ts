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

/** Computes log p of every token of targets given their sources, by teacher forcing in one pass. */
export class TargetScorer {
  readonly #weights: Weights;
  readonly #pad: number;
  readonly #executable: Promise<Executable>;

  constructor(model: SequenceToSequence, weights: Weights, session: SessionOptions = {}) {
    this.#weights = weights;
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

  /** For each pair the log-probabilities of `target`'s tokens after its first, which is START; END is the last. */
  async score(
    sources: readonly (readonly number[])[],
    targets: readonly (readonly number[])[],
  ): Promise<Float32Array[]> {
    const executable = await this.#executable;
    const { logProbabilities } = await executable.run({
      ...Object.fromEntries(this.#weights),
      sourceIds: idRows(sources, this.#pad),
      targetIds: idRows(targets, this.#pad),
    });
    const { dims, data } = logProbabilities as HostTensor<"float32">;
    const time = dims[1]!;
    return targets.map(({ length }, row) => data.slice(row * time, row * time + length - 1));
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
