// Reverse-mode differentiation: walks the graph from the outputs back and lets every operation say how a change flows.
import { ShapeError } from "../base/index.ts";
import { formatShape } from "./dim.ts";
import { constantValue, topologicalOrder, type Node, type Tensor } from "./graph.ts";
import { add, cast, onesLike } from "./ops/elementwise.ts";
import { scatterAdd, zeros } from "./ops/indexing.ts";
import { concat, expand } from "./ops/layout.ts";

/**
 * Gradients of a scalar with respect to tensors, as tensors of the same graph, so they can be differentiated again.
 * What the scalar does not depend on gets zeros. A leaf may be an input or any value in between.
 * @example
 * const [dWeight] = gradients(loss, [weight]);
 */
export function gradients(scalar: Tensor, leaves: readonly Tensor[]): Tensor[] {
  if (scalar.rank !== 0)
    throw new ShapeError(
      `gradients: a scalar is wanted, got ${scalar.dtype} ${formatShape(scalar.shape)}; sum it first`,
    );
  return vectorJacobian([[scalar, onesLike(scalar)]], leaves);
}

/**
 * Gradients of Σ gradient · tensor over pairs of tensors and what flows back to them, taken as constant: the vector-Jacobian
 * product.
 */
export function vectorJacobian(
  given: readonly (readonly [tensor: Tensor, gradient: Tensor])[],
  leaves: readonly Tensor[],
): Tensor[] {
  return pullback(given, leaves).map((parts, i) => {
    const leaf = leaves[i]!;
    return parts.length === 0 ? zeros(leaf) : expand(accumulate(parts), leaf.shape);
  });
}

/** The vector-Jacobian product as the parts whose sum it is. A given gradient may be one that broadcasts to its tensor. */
export function pullback(
  given: readonly (readonly [tensor: Tensor, gradient: Tensor])[],
  leaves: readonly Tensor[],
): (readonly Tensor[])[] {
  const order = topologicalOrder(given.map(([tensor]) => tensor));
  const wanted = dependents(order, leaves);
  const arriving = new Map<Tensor, Tensor[]>();
  const arrive = (tensor: Tensor, gradient: Tensor): void => {
    const parts = arriving.get(tensor);
    if (parts === undefined) arriving.set(tensor, [gradient]);
    else parts.push(gradient);
  };
  const arrived = (tensor: Tensor): Tensor | undefined => {
    const parts = arriving.get(tensor);
    if (parts === undefined) return undefined;
    if (parts.length === 1) return parts[0];
    const total = accumulate(parts);
    arriving.set(tensor, [total]);
    return total;
  };
  for (const [tensor, gradient] of given) arrive(tensor, gradient);
  for (const node of order.toReversed()) {
    if (!node.inputs.some((input) => wanted.has(input))) continue;
    const outgoing = node.outputs.map(arrived);
    if (outgoing.every((gradient) => gradient === undefined)) continue;
    const flowing = flowBack(node, outgoing, (input) => wanted.has(node.inputs[input]!));
    node.inputs.forEach((input, i) => {
      if (flowing[i] !== undefined && wanted.has(input)) arrive(input, flowing[i]);
    });
  }
  return leaves.map((leaf) => arriving.get(leaf) ?? []);
}

function flowBack(node: Node, outgoing: readonly (Tensor | undefined)[], wants: (input: number) => boolean) {
  const rule = node.operation.gradient;
  if (rule === undefined) return [];
  const first = outgoing[0] ?? zeros(node.outputs[0]!);
  return rule({
    inputs: node.inputs,
    outputs: node.outputs,
    attributes: node.attributes,
    dy: first,
    gradients: outgoing,
    wants,
  });
}

/** Every tensor of these nodes on a path from a leaf, and the leaves. */
export function dependents(order: readonly Node[], leaves: readonly Tensor[]): ReadonlySet<Tensor> {
  const reached = new Set<Tensor>(leaves);
  for (const node of order) {
    if (node.inputs.some((input) => reached.has(input))) for (const output of node.outputs) reached.add(output);
  }
  return reached;
}

/**
 * The sum of the gradients that meet at one tensor. Lookups into one table (tied embeddings) become a single scatter over
 * the dense rest: a scatter each would fill and add a table-sized array apiece.
 */
export function accumulate(parts: readonly Tensor[]): Tensor {
  if (parts.length === 1) return parts[0]!;
  const scatters = parts.filter(isScatter);
  const dense = parts.map((part) => (isScatter(part) ? part.node.inputs[0]! : part)).filter((part) => !isZero(part));
  const base = dense.length > 0 ? dense.reduce((a, b) => add(a, b)) : zeros(parts[0]!);
  if (scatters.length === 0) return base;
  const places = scatters.map(({ node }) => node.inputs[1]!);
  const mixed = places.some(({ dtype }) => dtype !== places[0]!.dtype);
  const ids = concat(mixed ? places.map((part) => cast(part, "int64")) : places, 0);
  const updates = concat(
    scatters.map(({ node }) => node.inputs[2]!),
    0,
  );
  return scatterAdd(expand(base, scatters[0]!.shape), ids, updates);
}

const isScatter = ({ node }: Tensor): boolean => node.operation.name === "scatterAdd";

/** Whether a tensor is `zeros(…)`. */
function isZero(tensor: Tensor): boolean {
  const filled = tensor.node.operation.name === "expand" ? tensor.node.inputs[0]! : tensor;
  const value = constantValue(filled);
  return value !== undefined && value.data.length === 1 && value.data[0] === 0;
}
