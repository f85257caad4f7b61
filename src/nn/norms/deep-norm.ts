import { add, mul, type Tensor } from "../../tensor/index.ts";
import type { Dropout } from "../dropout.ts";
import type { Pass } from "../pass.ts";
import { Residual, type Norm } from "./residual.ts";

/**
 * norm(alpha · x + dropout(sublayer(x))): post-norm with a residual heavy enough that a thousand layers train. The other half of
 * it is how weights start: those of feed-forward layers and of the value and output projections are drawn beta times as large.
 * `deepNormScale` gives both numbers. Wang et al. 2022, "DeepNet: Scaling Transformers to 1,000 Layers", figure 2.
 * @example
 * const { encoder } = deepNormScale({ encoderLayers: 50, decoderLayers: 50 });
 * const residual = new DeepNorm(new LayerNorm({ dModel: 64 }), new Dropout(0.1), encoder.alpha);
 */
export class DeepNorm extends Residual {
  readonly alpha: number;

  constructor(norm: Norm, dropout: Dropout, alpha: number) {
    super(norm, dropout);
    this.alpha = alpha;
  }

  override forward(x: Tensor, sublayer: (x: Tensor) => Tensor, pass?: Pass): Tensor {
    return this.norm.forward(add(mul(x, this.alpha), this.dropout.forward(sublayer(x))), pass);
  }
}

/** The two numbers of DeepNorm for one stack. */
export interface DeepNormScale {
  /** Multiplies what passes by a sublayer. */
  readonly alpha: number;
  /** Multiplies the first weights of feed-forward layers, values and outputs: their `gain`. */
  readonly beta: number;
}

/**
 * DeepNorm's numbers for N encoder and M decoder layers. Wang et al. 2022, figure 2:
 *
 * | | alpha | beta |
 * | --- | --- | --- |
 * | encoder alone | (2N)^¼ | (8N)^-¼ |
 * | decoder alone | (2M)^¼ | (8M)^-¼ |
 * | encoder of both | 0.81 (N⁴M)^1/16 | 0.87 (N⁴M)^-1/16 |
 * | decoder of both | (3M)^¼ | (12M)^-¼ |
 *
 * A stack without layers gets 1 and 1.
 */
export function deepNormScale({
  encoderLayers = 0,
  decoderLayers = 0,
}: {
  encoderLayers?: number;
  decoderLayers?: number;
}): {
  encoder: DeepNormScale;
  decoder: DeepNormScale;
} {
  const [n, m] = [encoderLayers, decoderLayers];
  const none = { alpha: 1, beta: 1 };
  const alone = (layers: number) => ({ alpha: (2 * layers) ** (1 / 4), beta: (8 * layers) ** (-1 / 4) });
  if (n === 0 || m === 0) return { encoder: n === 0 ? none : alone(n), decoder: m === 0 ? none : alone(m) };
  return {
    encoder: { alpha: 0.81 * (n ** 4 * m) ** (1 / 16), beta: 0.87 * (n ** 4 * m) ** (-1 / 16) },
    decoder: { alpha: (3 * m) ** (1 / 4), beta: (12 * m) ** (-1 / 4) },
  };
}
