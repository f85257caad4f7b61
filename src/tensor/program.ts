// A program: named inputs, named outputs, and the graph between them. It is what is lowered, run, exported and counted.
import { ShapeError } from "../base/index.ts";
import { isName } from "./dim.ts";
import { isInput, topologicalOrder, type Node, type Tensor } from "./graph.ts";

export interface Program {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** Nodes of a program in the order in which they can be computed. */
export function programNodes({ outputs }: Program): Node[] {
  return topologicalOrder(Object.values(outputs));
}

/** The inputs that the outputs depend on; the runtime refuses a feed that nothing uses. */
export function usedInputs(program: Program): Map<string, Tensor> {
  const nodes = programNodes(program);
  const leaves = new Set(nodes.filter(({ operation }) => operation.name === "input").map((node) => node.outputs[0]!));
  const used = new Map(Object.entries(program.inputs).filter(([, tensor]) => leaves.delete(tensor)));
  for (const stray of leaves) {
    throw new ShapeError(
      `program ${program.name} uses "${String(stray.node.attributes.label)}", which is not among its inputs`,
    );
  }
  return used;
}

/** On which axis of which input each named size can be read. */
export function namedSizes(inputs: ReadonlyMap<string, Tensor>): Map<string, { input: string; axis: number }> {
  const places = new Map<string, { input: string; axis: number }>();
  for (const [input, tensor] of inputs) {
    if (!isInput(tensor)) throw new ShapeError(`input "${input}" of the program was computed, not given`);
    tensor.shape.forEach((size, axis) => {
      if (isName(size) && !places.has(String(size))) places.set(String(size), { input, axis });
    });
  }
  return places;
}
