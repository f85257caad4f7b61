// A program whose weights are frozen → the same with its large products in whole numbers of 8 bits.
import { hostTensor, type HostTensor } from "../base/index.ts";
import {
  constant,
  programNodes,
  quantizedProduct,
  rewrite,
  type Node,
  type Program,
  type Tensor,
} from "../tensor/index.ts";
import { compile, type CompileOptions } from "./compile.ts";

/** Smaller matrices lose more to the rounding of what they are multiplied with than they gain. */
const leastElements = 1024;

/**
 * Rounds every weight that is multiplied with something computed to 8 bits, column by column: weight ≈ scale · whole number
 * from −127 to 127, scale = largest of the column / 127. What is looked up, added or normalised stays as it is. Weights that the
 * program itself puts together from frozen ones are worked out first.
 * @example
 * const run = await compile(await quantized(program, { frozen: weights }), { frozen: weights });
 */
export async function quantized(
  program: Program,
  { frozen = new Map(), ...options }: CompileOptions = {},
): Promise<Program> {
  const nodes = programNodes(program);
  const fixed = fixedTensors(nodes, program, frozen);
  const products = nodes.filter(
    (node) =>
      (node.operation.name === "matmul" || node.operation.name === "affine") &&
      node.attributes.transposeA === false &&
      isLargeMatrix(node.inputs[1]!) &&
      fixed.has(node.inputs[1]!) &&
      !fixed.has(node.inputs[0]!),
  );
  if (products.length === 0) return program;
  const weights = await evaluate([...new Set(products.map(({ inputs }) => inputs[1]!))], program, frozen, options);
  const known = new Map<Tensor, Map<string, { weight: Tensor; scale: Tensor }>>();
  const chosen = new Set(products);
  return rewrite(program, (node, inputs) => {
    if (!chosen.has(node)) return undefined;
    const { transposeB, alpha } = node.attributes as { transposeB: boolean; alpha: number };
    const matrix = node.inputs[1]!;
    const forms = known.get(matrix) ?? new Map<string, { weight: Tensor; scale: Tensor }>();
    known.set(matrix, forms);
    let rounded = forms.get(`${transposeB} ${alpha}`);
    if (rounded === undefined) {
      const { weight, scale } = roundColumns(weights.get(matrix)!, { transposed: transposeB, factor: alpha });
      rounded = { weight: constant(weight), scale: constant(scale) };
      forms.set(`${transposeB} ${alpha}`, rounded);
    }
    return [quantizedProduct(inputs[0]!, rounded.weight, rounded.scale, inputs[2])];
  });
}

/** Tensors that do not depend on what is fed. */
function fixedTensors(
  nodes: readonly Node[],
  program: Program,
  frozen: ReadonlyMap<string, HostTensor>,
): ReadonlySet<Tensor> {
  const fixed = new Set(Object.entries(program.inputs).flatMap(([name, tensor]) => (frozen.has(name) ? [tensor] : [])));
  for (const node of nodes) {
    const isSource = node.operation.name === "constant";
    if (isSource || (node.inputs.length > 0 && node.inputs.every((input) => fixed.has(input))))
      for (const output of node.outputs) fixed.add(output);
  }
  return fixed;
}

function isLargeMatrix({ shape, dtype }: Tensor): boolean {
  const [rows, columns] = shape;
  return (
    dtype === "float32" &&
    shape.length === 2 &&
    typeof rows === "number" &&
    typeof columns === "number" &&
    rows * columns >= leastElements
  );
}

async function evaluate(
  tensors: readonly Tensor[],
  program: Program,
  frozen: ReadonlyMap<string, HostTensor>,
  options: CompileOptions,
): Promise<ReadonlyMap<Tensor, HostTensor<"float32">>> {
  const given = new Map(Object.entries(program.inputs).map(([name, tensor]) => [tensor, frozen.get(name)]));
  const computed = tensors.filter((tensor) => given.get(tensor) === undefined);
  const values = new Map<Tensor, HostTensor<"float32">>();
  for (const tensor of tensors) {
    const value = given.get(tensor);
    if (value !== undefined) values.set(tensor, value as HostTensor<"float32">);
  }
  if (computed.length === 0) return values;
  const outputs = Object.fromEntries(computed.map((tensor, i) => [`weight.${i}`, tensor]));
  await using run = await compile({ name: `weights of ${program.name}`, inputs: program.inputs, outputs }, options);
  const wanted = run.inputNames.map((name) => [name, frozen.get(name)!] as const);
  const results = await run.run(Object.fromEntries(wanted));
  for (const [i, tensor] of computed.entries()) values.set(tensor, results[`weight.${i}`] as HostTensor<"float32">);
  return values;
}

/** A matrix [from, to], or [to, from] where transposed, as whole numbers [from, to] and a scale for each column. */
export function roundColumns(
  { dims, data }: HostTensor<"float32">,
  { transposed = false, factor = 1 }: { transposed?: boolean; factor?: number } = {},
): { weight: HostTensor<"int8">; scale: HostTensor<"float32"> } {
  const [rows, columns] = dims as readonly [number, number];
  const [from, to] = transposed ? [columns, rows] : [rows, columns];
  const at = transposed ? (i: number, j: number) => j * from + i : (i: number, j: number) => i * to + j;
  const [whole, scales] = [new Int8Array(from * to), new Float32Array(to)];
  for (let j = 0; j < to; j++) {
    let largest = 0;
    for (let i = 0; i < from; i++) largest = Math.max(largest, Math.abs(data[at(i, j)]!));
    // A column of zeros is zero whatever its scale.
    const scale = largest === 0 ? 1 : largest / 127;
    scales[j] = scale * factor;
    for (let i = 0; i < from; i++) whole[i * to + j] = Math.round(data[at(i, j)]! / scale);
  }
  return { weight: hostTensor("int8", [from, to], whole), scale: hostTensor("float32", [to], scales) };
}
