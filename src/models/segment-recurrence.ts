// Transformer-XL's way to read on: a segment sees what the layers saw of the segments before it.
import { ConfigError, type HostTensor } from "../base/index.ts";
import { AttentionScope, MultiHeadAttention, Pass } from "../nn/index.ts";
import {
  addDims,
  concat,
  dim,
  input,
  range,
  slice,
  stopGradient,
  subDims,
  type Dim,
  type Tensor,
} from "../tensor/index.ts";
import type { LanguageModel } from "./language-model.ts";
import { tokenLoss, type LossProgram } from "./token-loss.ts";

/** What one segment is made of when it is read with a memory. */
export interface SegmentTrace {
  /** [batch, time, dModel] */
  readonly output: Tensor;
  /** What each layer's attention looked at of this segment: [batch, time, dModel], to be remembered. */
  readonly remembered: readonly Tensor[];
  readonly reports: Pass["reports"];
}

/**
 * Reads ids [batch, time] with `memory`, for each layer what its attention saw of the segments before, [batch, memoryTime,
 * dModel]. Queries come from the segment alone, keys and values from both; no gradient reaches the memory. Where the model is told
 * of places, it is within attention: one that is told absolute places cannot go on.
 * Dai et al. 2019, "Transformer-XL: Attentive Language Models beyond a Fixed-Length Context", section 3.2. The positions may be
 * any that attention knows; the paper's own are closest to `relative`.
 */
export function readSegment(model: LanguageModel, ids: Tensor, memory: readonly Tensor[]): SegmentTrace {
  if (model.input.positions !== undefined) {
    throw new ConfigError(
      "model.positions",
      "a table gives every segment the same places, so segments cannot be told apart. Take rotary, alibi, relative or none",
    );
  }
  const time = ids.shape[1]!;
  const memoryTime = memory[0]!.shape[1]!;
  const pass = new Pass();
  const scope = new AttentionScope({
    queryTime: time,
    keyTime: addDims(memoryTime, time),
    isCausal: true,
    positions: model.decoder.positions,
  });
  const remembered: Tensor[] = [];
  const x = model.input.forward(ids, range(time), pass);
  const { output } = model.decoder.each(
    x,
    (layer) => (mixer, y) => {
      if (!(mixer instanceof MultiHeadAttention))
        throw new ConfigError("model.attention", "a memory of segments is for attention; other mixers carry a state");
      remembered.push(stopGradient(y));
      return mixer.lookAt(y, concat([stopGradient(memory[layer]!), y], 1), scope);
    },
    pass,
  );
  return { output, remembered, reports: pass.reports };
}

/**
 * Cross-entropy of each token of a segment given those before it and the memory of earlier segments. Inputs: `ids`
 * [batch, length] and `tokenWeight` as in `nextToken`, and `memory.0` … as `SegmentMemory` feeds them; what is to be remembered
 * comes back as the loss' `carried`.
 */
export function nextTokenWithMemory(model: LanguageModel): LossProgram {
  const batch = dim("batch");
  const ids = input("ids", "int32", [batch, dim("length")]);
  const tokenWeight = input("tokenWeight", "float32", []);
  const memory = model.decoder.layers.map((_, i) =>
    input(`memory.${i}`, "float32", [batch, dim("memoryTime"), model.options.dModel]),
  );
  const length: Dim = ids.shape[1]!;
  const { output, remembered, reports } = readSegment(model, slice(ids, { axis: 1, end: subDims(length, 1) }), memory);
  const named = (tensors: readonly Tensor[]) => Object.fromEntries(tensors.map((tensor, i) => [`memory.${i}`, tensor]));
  return {
    inputs: { ids, tokenWeight, ...named(memory) },
    carried: named(remembered),
    ...tokenLoss({
      hidden: output,
      labels: slice(ids, { axis: 1, start: 1 }),
      ignored: model.pad,
      output: model.outputLayer(),
      tokenWeight,
      reports,
    }),
  };
}

/** The last `places` of what went by, for each layer; it is fed to the next segment. */
export class SegmentMemory {
  readonly #places: number;
  #layers: readonly HostTensor<"float32">[];

  constructor({ layers, batch, dModel, places }: { layers: number; batch: number; dModel: number; places: number }) {
    this.#places = places;
    const nothing = { dtype: "float32", dims: [batch, 0, dModel], data: new Float32Array(0) } as const;
    this.#layers = Array.from({ length: layers }, () => nothing);
  }

  feeds(): Record<string, HostTensor> {
    return Object.fromEntries(this.#layers.map((layer, i) => [`memory.${i}`, layer]));
  }

  /** Takes in what a segment carried on. */
  remember(carried: Readonly<Record<string, HostTensor>>): void {
    this.#layers = this.#layers.map((layer, i) =>
      lastPlaces(layer, carried[`memory.${i}`] as HostTensor<"float32">, this.#places),
    );
  }
}

/** The last places of two stretches [batch, time, width] put one after the other. */
function lastPlaces(
  before: HostTensor<"float32">,
  after: HostTensor<"float32">,
  places: number,
): HostTensor<"float32"> {
  const [batch, earlier, width] = before.dims as readonly [number, number, number];
  const later = after.dims[1]!;
  const kept = Math.min(places, earlier + later);
  const fromAfter = Math.min(later, kept);
  const fromBefore = kept - fromAfter;
  const data = new Float32Array(batch * kept * width);
  for (let row = 0; row < batch; row++) {
    const rowOf = (tensor: HostTensor<"float32">, time: number, taken: number): Float32Array =>
      tensor.data.subarray((row * time + time - taken) * width, (row + 1) * time * width);
    data.set(rowOf(before, earlier, fromBefore), row * kept * width);
    data.set(rowOf(after, later, fromAfter), (row * kept + fromBefore) * width);
  }
  return { dtype: "float32", dims: [batch, kept, width], data };
}
