// Which layer of the encoder each layer of the decoder looks at.
import { ConfigError } from "../base/index.ts";
import { Module, Parameter, zeros, type Norm, type Pass } from "../nn/index.ts";
import { add, mul, reshape, slice, softmax, type Tensor } from "../tensor/index.ts";

/**
 * "last": the encoder's output, as in the paper. "same-depth": decoder layer i looks at encoder layer i. "mixture": each
 * decoder layer learns a mean of all of them (Bapna et al. 2018, "Training Deeper Neural Machine Translation Models with
 * Transparent Attention"). A list names for each decoder layer an encoder layer, counted from 1; 0 is the embeddings.
 */
export type MemoryChoice = "last" | "same-depth" | "mixture" | readonly number[];

export interface MemoryRoutingOptions {
  choice: MemoryChoice;
  encoderLayers: number;
  decoderLayers: number;
}

/** Gives every decoder layer the memory that it looks at. */
export class MemoryRouting extends Module {
  /** Of a mixture, before the softmax: [decoderLayers, encoderLayers + 1]; all layers count alike at the start. */
  readonly mixture: Parameter | undefined;
  readonly #layers: readonly number[] | undefined;
  readonly #decoderLayers: number;

  constructor({ choice, encoderLayers, decoderLayers }: MemoryRoutingOptions) {
    super();
    this.#decoderLayers = decoderLayers;
    this.mixture =
      choice === "mixture"
        ? new Parameter({ shape: [decoderLayers, encoderLayers + 1], initializer: zeros })
        : undefined;
    this.#layers = choice === "mixture" ? undefined : layersOf(choice, encoderLayers, decoderLayers);
  }

  /**
   * hidden: the embeddings and what each encoder layer left, the last one after the final norm, each
   * [batch, sourceTime, dModel] → one memory a decoder layer. `norm` is the final norm, which the others have not had.
   */
  forward(hidden: readonly Tensor[], norm: Norm | undefined, pass?: Pass): readonly Tensor[] {
    const normed = hidden.map((): Tensor | undefined => undefined);
    const at = (layer: number): Tensor => {
      const isNormed = norm === undefined || layer === hidden.length - 1;
      return (normed[layer] ??= isNormed ? hidden[layer]! : norm.forward(hidden[layer]!, pass));
    };
    if (this.#layers !== undefined) return this.#layers.map(at);
    const shares = softmax(this.mixture!.value);
    return Array.from({ length: this.#decoderLayers }, (_, layer) => {
      const share = (i: number): Tensor => {
        const row = slice(shares, { axis: 0, start: layer, end: layer + 1 });
        return reshape(slice(row, { axis: 1, start: i, end: i + 1 }), []);
      };
      return hidden.map((_, i) => mul(at(i), share(i))).reduce((a, b) => add(a, b));
    });
  }
}

function layersOf(
  choice: Exclude<MemoryChoice, "mixture">,
  encoderLayers: number,
  decoderLayers: number,
): readonly number[] {
  const each = (layer: (i: number) => number): number[] => Array.from({ length: decoderLayers }, (_, i) => layer(i));
  if (choice === "last") return each(() => encoderLayers);
  if (choice === "same-depth") {
    if (encoderLayers < decoderLayers) {
      throw new ConfigError(
        "model.memory",
        `same-depth needs as many encoder layers as decoder layers (got ${encoderLayers} and ${decoderLayers}). Take a list.`,
      );
    }
    return each((i) => i + 1);
  }
  if (
    choice.length !== decoderLayers ||
    choice.some((layer) => !Number.isInteger(layer) || layer < 0 || layer > encoderLayers)
  ) {
    throw new ConfigError(
      "model.memory",
      `a list names one encoder layer from 0 (embeddings) to ${encoderLayers} for each of the ${decoderLayers} decoder layers (got ${choice.join(", ")})`,
    );
  }
  return choice;
}
