import type { Tensor } from "../../tensor/index.ts";
import { gelu } from "../activations.ts";
import { zeros } from "../initializers.ts";
import { Linear, type LinearAdapter } from "../linear.ts";
import { Module } from "../module.ts";

/**
 * y + up(gelu(down(y))): a narrow feed-forward layer with its own way around it, behind a sublayer's last projection and in
 * front of the sublayer's residual. `up` starts at zero, so nothing changes at the start (the paper draws it near zero).
 * Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP", section 2.1.
 */
export class HoulsbyAdapter extends Module implements LinearAdapter {
  readonly reads = "output";
  /** [width, bottleneck], and an offset */
  readonly down: Linear;
  /** [bottleneck, width], and an offset */
  readonly up: Linear;

  constructor({ width, bottleneck }: { width: number; bottleneck: number }) {
    super();
    this.down = new Linear({ from: width, to: bottleneck });
    this.up = new Linear({ from: bottleneck, to: width, initializer: zeros });
  }

  /** y [.., width] → the same shape */
  gain(y: Tensor): Tensor {
    return this.up.forward(gelu(this.down.forward(y)));
  }
}
