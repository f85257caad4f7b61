// The mean of several checkpoints' weights, which commonly does better than the last of them (Vaswani et al. 2017, section 6.1).
import { allocate, ConfigError, elementCount, FormatError, type HostTensor } from "../base/index.ts";
import { openSafetensors, toFloat32, type SafetensorsFile } from "../formats/index.node.ts";

/**
 * Mean of each tensor over the files, summed in float64. However many files there are, memory holds the result and one tensor.
 * Throws FormatError naming the tensor where the files differ in names or shapes.
 *
 * @example
 * const weights = await averageWeights(["step-00019000/model.safetensors", "step-00020000/model.safetensors"]);
 */
export async function averageWeights(paths: readonly string[]): Promise<Map<string, HostTensor<"float32">>> {
  const files: SafetensorsFile[] = [];
  try {
    for (const path of paths) files.push(await openSafetensors(path));
    const [first, ...others] = files;
    if (first === undefined) throw new ConfigError("average", "no file was given. Name at least one.");
    for (const other of others) checkAlike(first, other);
    const means = new Map<string, HostTensor<"float32">>();
    for (const [name, { dims }] of first.header.tensors) means.set(name, await meanOf(files, name, dims));
    return means;
  } finally {
    for (const file of files) await file.close();
  }
}

async function meanOf(
  files: readonly SafetensorsFile[],
  name: string,
  dims: readonly number[],
): Promise<HostTensor<"float32">> {
  const sums = new Float64Array(elementCount(dims));
  for (const file of files) {
    const { data } = toFloat32(await file.read(name), `${file.path}, tensor "${name}"`);
    for (let i = 0; i < sums.length; i++) sums[i]! += data[i]!;
  }
  const data = allocate("float32", sums.length);
  for (let i = 0; i < sums.length; i++) data[i] = sums[i]! / files.length;
  return { dtype: "float32", dims, data };
}

function checkAlike(first: SafetensorsFile, other: SafetensorsFile): void {
  const shapeIn = ({ header }: SafetensorsFile, name: string): string => {
    const dims = header.tensors.get(name)?.dims;
    return dims === undefined ? "missing" : `[${dims.join(", ")}]`;
  };
  for (const name of new Set([...first.header.tensors.keys(), ...other.header.tensors.keys()])) {
    const [wanted, found] = [shapeIn(first, name), shapeIn(other, name)];
    if (wanted === found) continue;
    throw new FormatError(
      `${other.path}, tensor "${name}"`,
      `is ${found} here and ${wanted} in ${first.path}. Only checkpoints of one model can be averaged.`,
    );
  }
}
