// Nonlinearities of the feed-forward layer, by the names configurations use.
import { add, erf, mul, relu, sigmoid, tanh, type Tensor } from "../tensor/index.ts";

/** x Φ(x), Φ the normal distribution. Hendrycks and Gimpel 2016, "Gaussian Error Linear Units". */
export function gelu(x: Tensor): Tensor {
  return mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1));
}

/**
 * x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))), within 0.0005 of gelu. Hendrycks and Gimpel 2016, section 2. GPT-2 and BLOOM were
 * trained with it.
 */
export function geluTanh(x: Tensor): Tensor {
  const cubed = mul(mul(x, x), mul(x, 0.044715));
  return mul(mul(x, 0.5), add(tanh(mul(add(x, cubed), Math.sqrt(2 / Math.PI))), 1));
}

/** x · sigmoid(x), also called swish. Ramachandran et al. 2017, "Searching for Activation Functions". */
export function silu(x: Tensor): Tensor {
  return mul(x, sigmoid(x));
}

export const activations = { relu, gelu, "gelu-tanh": geluTanh, silu, tanh } satisfies Record<
  string,
  (x: Tensor) => Tensor
>;

export type ActivationName = keyof typeof activations;
