// Nonlinearities of the feed-forward layer, by the names configurations use.
import { add, erf, mul, relu, sigmoid, tanh, type Tensor } from "../tensor/index.ts";

/** x Φ(x), Φ the normal distribution. Hendrycks and Gimpel 2016, "Gaussian Error Linear Units". */
export function gelu(x: Tensor): Tensor {
  return mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1));
}

/** x · sigmoid(x), also called swish. Ramachandran et al. 2017, "Searching for Activation Functions". */
export function silu(x: Tensor): Tensor {
  return mul(x, sigmoid(x));
}

export const activations = { relu, gelu, silu, tanh } satisfies Record<string, (x: Tensor) => Tensor>;

export type ActivationName = keyof typeof activations;
