// Program → program: the same computation under a rule that replaces some of its nodes.
import type { DType, HostTensor } from "../base/index.ts";
import { apply, constant, input, type Node, type Tensor } from "./graph.ts";
import { programNodes, type Program } from "./program.ts";

/** What stands for a node's outputs, given its inputs already rewritten; undefined keeps the node. */
export type RewriteRule = (node: Node, inputs: readonly Tensor[]) => readonly Tensor[] | undefined;

/**
 * Applies a rule to every node, inputs first. Rewrite after differentiating: gradients of a rewritten program may still
 * lead through the original.
 */
export function rewrite(program: Program, rule: RewriteRule): Program {
  const replaced = new Map<Tensor, Tensor>();
  const now = (tensor: Tensor): Tensor => replaced.get(tensor) ?? tensor;
  for (const node of programNodes(program)) {
    const inputs = node.inputs.map(now);
    const changed = inputs.some((tensor, i) => tensor !== node.inputs[i]);
    const outputs = rule(node, inputs) ?? (changed ? apply(node.operation, inputs, node.attributes) : node.outputs);
    node.outputs.forEach((output, i) => {
      if (outputs[i] !== undefined && outputs[i] !== output) replaced.set(output, outputs[i]);
    });
  }
  const rename = (tensors: Readonly<Record<string, Tensor>>) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, now(tensor)]));
  return { name: program.name, inputs: rename(program.inputs), outputs: rename(program.outputs) };
}

/** Inference: dropout becomes its input, and with it go the random bytes. */
export function withoutDropout(program: Program): Program {
  return rewrite(program, (node, inputs) => (node.operation.name === "dropout" ? [inputs[0]!] : undefined));
}

const wide = (dtype: DType): DType => (dtype === "float32" ? "float64" : dtype);

/** The program in double precision: where rounding hides what a test wants to see. */
export function inDoublePrecision(program: Program): Program {
  return rewrite(program, (node, inputs) => {
    const { name } = node.operation;
    const output = node.outputs[0]!;
    if (name === "input") return [input(String(node.attributes.label), wide(output.dtype), output.shape)];
    if (name === "constant" && output.dtype === "float32") {
      const { dims, data } = node.attributes.value as HostTensor<"float32">;
      return [constant({ dtype: "float64", dims, data: Float64Array.from(data) })];
    }
    if (name === "cast") return apply(node.operation, inputs, { dtype: wide(node.attributes.dtype as DType) });
    return undefined;
  });
}
