// Program → program: the same computation under a rule that replaces some of its nodes.
import type { DType, HostTensor } from "../base/index.ts";
import { apply, constant, input, topologicalOrder, type Node, type Tensor } from "./graph.ts";
import type { Program } from "./program.ts";

/** What stands for a node's outputs, given its inputs already rewritten; undefined keeps the node. */
export type RewriteRule = (node: Node, inputs: readonly Tensor[]) => readonly Tensor[] | undefined;

/**
 * Applies a rule to every node, inputs first, and to the bodies of loops. Rewrite after differentiating: gradients of a
 * rewritten program may still lead through the original.
 */
export function rewrite(program: Program, rule: RewriteRule): Program {
  const done = new Set<Node>();
  const replaced = new Map<Tensor, Tensor>();
  const now = (tensor: Tensor): Tensor => replaced.get(tensor) ?? tensor;
  const through = (tensors: readonly Tensor[]): readonly Tensor[] => {
    for (const node of topologicalOrder(tensors, { idle: true })) {
      if (done.has(node)) continue;
      done.add(node);
      const { operation, attributes } = node;
      const inputs = node.inputs.map(now);
      const changed = inputs.some((tensor, i) => tensor !== node.inputs[i]);
      const outputs =
        rule(node, inputs) ??
        operation.rewriteInner?.(inputs, attributes, through) ??
        (changed ? apply(operation, inputs, attributes) : node.outputs);
      node.outputs.forEach((output, i) => {
        if (outputs[i] !== undefined && outputs[i] !== output) replaced.set(output, outputs[i]);
      });
    }
    return tensors.map(now);
  };
  through(Object.values(program.outputs));
  const rename = (tensors: Readonly<Record<string, Tensor>>) =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, now(tensor)]));
  return { name: program.name, inputs: rename(program.inputs), outputs: rename(program.outputs) };
}

/** Which input stands for an operation that is there for training alone. */
const inferenceInput: Readonly<Record<string, number>> = { dropout: 0, layerDrop: 1, phase: 1 };

/**
 * The program for inference: dropout becomes its input, a layer that is dropped at times is always there, `phase` becomes its
 * second value. With them go the random bytes and whatever else only training needs.
 */
export function withoutDropout(program: Program): Program {
  return withDropoutWhere(program, () => false);
}

/** The same, but values are dropped as in training where `keeps` says so of the random bytes that decide on them. */
export function withDropoutWhere(program: Program, keeps: (bytes: Tensor) => boolean): Program {
  return rewrite(program, ({ operation: { name } }, inputs) => {
    const kept = Object.hasOwn(inferenceInput, name) ? inferenceInput[name] : undefined;
    if (kept === undefined || (name === "dropout" && keeps(inputs[1]!))) return undefined;
    return [inputs[kept]!];
  });
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
