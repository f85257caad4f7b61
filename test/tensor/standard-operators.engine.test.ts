// Without the runtime's own operators a program says the same, so that WebGPU and other runtimes can run it.
import { describe, expect, test } from "vitest";
import {
  allOperations,
  apply,
  gradients,
  input,
  lower,
  mul,
  sum,
  type Operation,
  type Sample,
  type Tensor,
} from "../../src/tensor/index.ts";
import { expectClose } from "../close.ts";
import { draw, evaluate, inputsFor, numbers } from "./evaluate.ts";

/** Outputs and gradients of a sample in float32, where the runtime's own operators are used. */
function traced(
  operation: Operation,
  sample: Sample,
): { inputs: Tensor[]; values: ReturnType<typeof draw>[]; outputs: Tensor[] } {
  const values = sample.inputs.map(({ shape, dtype = "float32", range }, i) =>
    draw({ dims: shape, seed: i + 1, dtype, ...(range && { range }) }),
  );
  const inputs = inputsFor(values);
  const [first] = apply(operation, inputs, sample.attributes ?? {});
  const outputs = [first!];
  const leaves = inputs.filter(({ dtype }) => dtype === "float32");
  if (operation.gradient !== undefined && first!.dtype === "float32" && leaves.length > 0) {
    const w = draw({ dims: first!.shape as number[], seed: 99, dtype: "float32" });
    const weight = input("w", "float32", w.dims);
    outputs.push(...gradients(sum(mul(first!, weight)), leaves));
    inputs.push(weight);
    values.push(w);
  }
  return { inputs, values, outputs };
}

describe("every operation", () => {
  for (const operation of allOperations().values()) {
    for (const [i, sample] of operation.samples.entries()) {
      test(`${operation.name} ${i} gives the same numbers from standard operators`, async () => {
        const { inputs, values, outputs } = traced(operation, sample);
        const own = await evaluate(inputs, values, outputs);
        const standard = await evaluate(inputs, values, outputs, { contrib: false });
        own.forEach((expected, at) =>
          expectClose(numbers(standard[at]!), numbers(expected), {
            within: 1e-5,
            relative: 1e-5,
            what: `output ${at}`,
          }),
        );
        const program = {
          name: "standard",
          inputs: Object.fromEntries(inputs.map((tensor, at) => [`x${at}`, tensor])),
          outputs: Object.fromEntries(outputs.map((tensor, at) => [`y${at}`, tensor])),
        };
        const { graph, opsets } = lower(program, { contrib: false });
        expect(opsets).toEqual({ "": 21 });
        // It stands in ONNX's domain, but ONNX does not have it.
        expect(
          graph.nodes.filter(({ op, domain = "" }) => domain !== "" || op === "SimplifiedLayerNormalization"),
        ).toEqual([]);
      });
    }
  }
});
