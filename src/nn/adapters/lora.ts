import { matmul, mul, type Tensor } from "../../tensor/index.ts";
import { Dropout } from "../dropout.ts";
import { zeros, type Initializer } from "../initializers.ts";
import type { LinearAdapter } from "../linear.ts";
import { Module, Parameter } from "../module.ts";

export interface LoraOptions {
  from: number;
  to: number;
  /** Width of the bottleneck, r in the paper. */
  rank: number;
  /** The gain is scaled with alpha / rank, so that another rank wants no other learning rate; 2 · rank if not said. */
  alpha?: number;
  /** Chance to drop a value of x on its way into the gain, while training. */
  dropout?: number;
}

/** Uniform in ±1/√from, as the paper's code draws A (the paper itself says Gaussian). */
const uniformByInputs: Initializer = (data, [from = 1], random) => {
  for (let i = 0; i < data.length; i++) data[i] = (2 * random.uniform() - 1) / Math.sqrt(from);
};

/**
 * y + (alpha / rank) · dropout(x) A B: a change of W of low rank. B starts at zero, so nothing changes at the start.
 * Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1. The paper's A and B are `down` and `up`
 * here, transposed, as weights are [from, to] with us.
 */
export class LoraAdapter extends Module implements LinearAdapter {
  readonly reads = "input";
  /** A: [from, rank] */
  readonly down: Parameter;
  /** B: [rank, to] */
  readonly up: Parameter;
  readonly dropout: Dropout;
  readonly rank: number;
  readonly alpha: number;

  constructor({ from, to, rank, alpha = 2 * rank, dropout = 0 }: LoraOptions) {
    super();
    this.down = new Parameter({ shape: [from, rank], initializer: uniformByInputs });
    this.up = new Parameter({ shape: [rank, to], initializer: zeros });
    this.dropout = new Dropout(dropout);
    this.rank = rank;
    this.alpha = alpha;
  }

  /** alpha / rank: the factor on the gain. */
  get scale(): number {
    return this.alpha / this.rank;
  }

  /** x [.., from] → [.., to] */
  gain(x: Tensor): Tensor {
    const narrow = matmul(this.dropout.forward(x), this.down.value); // [.., rank]
    return matmul(mul(narrow, this.scale), this.up.value);
  }
}
