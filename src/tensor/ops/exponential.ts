// Exponentials and logarithms where the plain formula loses digits or overflows, and the activations made of them.
import type { Emitter } from "../emitter.ts";
import type { Tensor } from "../graph.ts";
import { abs, add, div, greater, minimum, mul, neg, sigmoid, unary, where } from "./elementwise.ts";

/** With u = 1 + x as rounded: x ln u / (u − 1) takes back what rounding did; x where u is 1. (Kahan; Higham 2002, section 1.14.1.) */
function writeLog1p(emitter: Emitter, x: string, dtype: Parameters<Emitter["scalar"]>[1]): string {
  const one = emitter.scalar(1, dtype);
  const u = emitter.one("Add", [x, one]);
  const rounded = emitter.one("Sub", [u, one]);
  const vanishes = emitter.one("Equal", [rounded, emitter.scalar(0, dtype)]);
  const divisor = emitter.one("Where", [vanishes, one, rounded]);
  const ratio = emitter.one("Div", [emitter.one("Log", [u]), divisor]);
  return emitter.one("Where", [vanishes, x, emitter.one("Mul", [x, ratio])]);
}

/** ln(1 + x), exact to the last digits also for small x. dy/dx = 1/(1 + x). */
export const log1p = unary({
  name: "log1p",
  onnx: writeLog1p,
  gradient: (dy, x) => div(dy, add(x, 1)),
  range: [-0.5, 2],
});

/** eˣ − 1 = tanh(x/2) (eˣ + 1), exact to the last digits also for small x. dy/dx = y + 1. */
export const expm1 = unary({
  name: "expm1",
  onnx: (emitter, x, dtype) => {
    const half = emitter.one("Tanh", [emitter.one("Mul", [x, emitter.scalar(0.5, dtype)])]);
    return emitter.one("Mul", [half, emitter.one("Add", [emitter.one("Exp", [x]), emitter.scalar(1, dtype)])]);
  },
  gradient: (dy, _, y) => mul(dy, add(y, 1)),
});

/** ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|). dy/dx = sigmoid x. */
export const softplus = unary({
  name: "softplus",
  onnx: (emitter, x, dtype) => {
    if (dtype === "float32" || dtype === "float16") return emitter.one("Softplus", [x]);
    const decay = emitter.one("Exp", [emitter.one("Neg", [emitter.one("Abs", [x])])]);
    return emitter.one("Add", [emitter.one("Relu", [x]), writeLog1p(emitter, decay, dtype)]);
  },
  gradient: (dy, x) => mul(dy, sigmoid(x)),
});

/** ln sigmoid x = −ln(1 + e⁻ˣ): the stable way to a binary cross-entropy. */
export function logSigmoid(x: Tensor): Tensor {
  return neg(softplus(neg(x)));
}

/** x where x > 0, else slope · x. Maas et al. 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic Models". */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  return where(greater(x, 0), x, mul(x, slope));
}

/** x where x > 0, else α (eˣ − 1). Clevert et al. 2016, "Fast and Accurate Deep Network Learning by Exponential Linear Units". */
export function elu(x: Tensor, alpha = 1): Tensor {
  return where(greater(x, 0), x, mul(expm1(minimum(x, 0)), alpha));
}

/** x / (1 + |x|). */
export function softsign(x: Tensor): Tensor {
  return div(x, add(abs(x), 1));
}
