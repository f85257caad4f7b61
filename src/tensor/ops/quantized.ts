// Products in whole numbers of 8 bits: a quarter of the weights' memory, and on processors that can, several times the speed.
import { equalDims } from "../dim.ts";
import { operation, shapeError, type Tensor, type TensorType } from "../graph.ts";

const applyQuantizedProduct = operation<Record<string, never>>({
  name: "quantizedProduct",
  type: (inputs) => {
    const [x, weight, scale, bias] = inputs as readonly [TensorType, TensorType, TensorType, TensorType?];
    const fail = (problem: string): never => {
      throw shapeError("quantizedProduct", inputs, problem);
    };
    if (x.dtype !== "float32" || scale.dtype !== "float32") fail("x and scale must be float32");
    if (weight.dtype !== "int8" || weight.shape.length !== 2) fail("the weight must be int8 with two axes");
    const [from, to] = weight.shape as readonly [TensorType["shape"][0], TensorType["shape"][0]];
    if (x.shape.length < 2 || !equalDims(x.shape.at(-1)!, from))
      fail(`the last of at least two axes of x must be ${from}`);
    for (const vector of [scale, bias]) {
      if (vector !== undefined && (vector.shape.length !== 1 || !equalDims(vector.shape[0]!, to)))
        fail(`scale and bias of [${to}] are wanted`);
    }
    return { dtype: "float32", shape: [...x.shape.slice(0, -1), to] };
  },
  onnx: (emitter, [x, weight, scale, bias], node) => {
    const domain = "com.microsoft";
    if (emitter.contrib) {
      const inputs = [x!, weight!, scale!];
      return emitter.one("DynamicQuantizeMatMul", bias === undefined ? inputs : [...inputs, "", bias], { domain });
    }
    const [whole, step, zero] = emitter.all("DynamicQuantizeLinear", [x!], { outputs: 3 });
    const product = emitter.cast(emitter.one("MatMulInteger", [whole!, weight!, zero!]), node.outputs[0]!.dtype);
    const scaled = emitter.one("Mul", [product, emitter.one("Mul", [step!, scale!])]);
    return bias === undefined ? scaled : emitter.one("Add", [scaled, bias]);
  },
  samples: [[[5, 4], undefined] as const, [[2, 3, 4], [3]] as const].map(([shape, bias]) => ({
    inputs: [
      { shape },
      { shape: [4, 3], dtype: "int8" as const, range: [-127, 128] as const },
      { shape: [3], range: [0.001, 0.01] as const },
      ...(bias === undefined ? [] : [{ shape: bias }]),
    ],
    float32: true,
  })),
});

/**
 * x · (scale ⊙ weight) + bias over the last axis, worked out in whole numbers: x [.., from] is rounded to 8 bits as it comes,
 * by one step for all of it, weight [from, to] of int8 has a step of its own for each column, scale [to]. Nothing flows back.
 */
export function quantizedProduct(x: Tensor, weight: Tensor, scale: Tensor, bias?: Tensor): Tensor {
  return applyQuantizedProduct(bias === undefined ? [x, weight, scale] : [x, weight, scale, bias], {})[0]!;
}
