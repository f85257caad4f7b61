// Graph → ONNX: every node writes its form once, in an order in which it can be computed.
import { ShapeError, type HostTensor } from "../base/index.ts";
import type { OnnxGraph, OnnxModel, OnnxValue } from "../formats/index.ts";
import { SymbolicDim } from "./dim.ts";
import { Emitter, type EmitterOptions } from "./emitter.ts";
import { topologicalOrder, type Node, type Tensor } from "./graph.ts";
import { namedSizes, usedInputs, type Program } from "./program.ts";

export interface LowerOptions extends Partial<EmitterOptions> {
  /** Inputs that become part of the file: weights of a program that will not be trained any more. */
  readonly frozen?: ReadonlyMap<string, HostTensor>;
}

/**
 * Writes a program as an ONNX model. Inputs that no output depends on are left out.
 * With `contrib: false` only standard operators are used, so that any ONNX runtime can run it.
 */
export function lower(program: Program, { contrib = true, frozen = new Map() }: LowerOptions = {}): OnnxModel {
  const inputs = usedInputs(program);
  const taken = new Set([...inputs.keys(), ...Object.keys(program.outputs)]);
  const ambiguous = Object.keys(program.outputs).find((name) => inputs.has(name));
  if (ambiguous !== undefined)
    throw new ShapeError(
      `program ${program.name} calls both an input and an output "${ambiguous}"; ONNX wants two names`,
    );
  const given = [...inputs].filter(([name]) => !frozen.has(name));
  const names = new Map<Tensor, string>();
  const writer = graphWriter(Object.values(program.outputs), names);
  const emitter = new Emitter({ contrib }, { axisOf: namedSizes(new Map(given)), taken, ...writer });
  for (const [name, tensor] of inputs) {
    const value = frozen.get(name);
    if (value === undefined) names.set(tensor, name);
    else names.set(tensor, emitter.constant(value));
  }
  writer.write(emitter);
  const outputs = Object.entries(program.outputs).map(([name, tensor]) => {
    const value = names.get(tensor);
    if (value === undefined) throw new ShapeError(`output "${name}" of ${program.name} was not written`);
    emitter.publish(value, name);
    return describe(name, tensor);
  });
  return {
    graph: {
      name: program.name,
      inputs: given.map(([name, tensor]) => describe(name, tensor)),
      outputs,
      nodes: emitter.publishedNodes(),
      initializers: emitter.initializers,
    },
    opsets: emitter.usesContrib ? { "": 21, "com.microsoft": 1 } : { "": 21 },
  };
}

/** Writes the nodes of a graph, the body of a loop as well as a program: `names` has what its inputs are called and takes the rest. */
function graphWriter(outputs: readonly Tensor[], names: Map<Tensor, string>) {
  const nodes = topologicalOrder(outputs);
  const read = new Set(outputs);
  for (const { operation, inputs, attributes } of nodes) {
    const idle = operation.idle?.(attributes) ?? [];
    for (const [i, input] of inputs.entries()) if (!idle.includes(i)) read.add(input);
  }
  // Sizes that the data decide may be asked for before their turn: zeros of such a shape depend on no tensor.
  const makers = new Map(
    nodes.flatMap((node) =>
      node.operation.name === "trueIndices" ? [[String(node.attributes.count), node] as const] : [],
    ),
  );
  let emitter: Emitter;
  const writeNode = (node: Node): void => {
    if (node.outputs.every((output) => names.has(output))) return;
    const operands = node.inputs.map((input) => names.get(input)!);
    const written = node.operation.onnx(emitter, operands, node, node.attributes);
    const results = typeof written === "string" ? [written] : written;
    node.outputs.forEach((output, i) => {
      if (results[i] !== undefined) names.set(output, results[i]);
    });
  };
  return {
    isRead: (tensor: Tensor): boolean => read.has(tensor),
    findSize: (size: string): void => topologicalOrder(makers.get(size)?.outputs ?? []).forEach(writeNode),
    write: (into: Emitter): void => {
      emitter = into;
      nodes.forEach(writeNode);
    },
  };
}

export interface InnerGraph {
  readonly name: string;
  /** What enters anew each time the graph runs. */
  readonly inputs: readonly Tensor[];
  /** What values of the graph around it are called. */
  readonly known: ReadonlyMap<Tensor, string>;
  readonly outputs: readonly Tensor[];
}

/** A graph within the one that `outer` writes, as the body of a loop. */
export function lowerInner(outer: Emitter, { name, inputs, known, outputs }: InnerGraph): OnnxGraph {
  const names = new Map(known);
  const writer = graphWriter(outputs, names);
  const emitter = outer.inner(writer);
  const entering = inputs.map((tensor) => {
    const entered = emitter.enter(name);
    names.set(tensor, entered);
    return describe(entered, tensor);
  });
  writer.write(emitter);
  const leaving = outputs.map((tensor) => {
    const published = emitter.newName(name);
    emitter.publish(names.get(tensor)!, published);
    return describe(published, tensor);
  });
  return { name, inputs: entering, outputs: leaving, nodes: emitter.publishedNodes(), initializers: [] };
}

function describe(name: string, { dtype, shape }: Tensor): OnnxValue {
  // The runtime takes two sizes of one name for equal and may lay them into one place, so different sizes keep different names.
  const plain = (key: string): string => key.replaceAll(" ", "").replaceAll("·", "*");
  return { name, dtype, dims: shape.map((size) => (size instanceof SymbolicDim ? plain(size.key) : size)) };
}
