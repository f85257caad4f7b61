import { join } from "node:path";
import { expect, it } from "vitest";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { writeSafetensors } from "../../src/formats/index.node.ts";
import { averageWeights } from "../../src/train/index.node.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** Writes one file for each set of tensors, and gives their paths. */
async function files(...sets: Readonly<Record<string, HostTensor>>[]): Promise<string[]> {
  const folder = await temporaryFolder();
  const paths = sets.map((_, i) => join(folder, `${i}.safetensors`));
  for (const [i, tensors] of sets.entries()) await writeSafetensors(paths[i]!, Object.entries(tensors));
  return paths;
}

const row = (...values: number[]): HostTensor => hostTensor("float32", [values.length], values);

it("is the mean of each element", async () => {
  const means = await averageWeights(
    await files({ a: row(1, 2), b: row(10) }, { a: row(3, 4), b: row(20) }, { a: row(8, 0), b: row(60) }),
  );
  expect([...means]).toEqual([
    ["a", row(4, 2)],
    ["b", row(30)],
  ]);
});

it("of equal files is that file, to the bit: sums of float32 in float64 lose nothing", async () => {
  const weights = { a: row(...Array.from({ length: 100 }, (_, i) => Math.sin(i) * 10 ** ((i % 40) - 20))) };
  expect(
    (await averageWeights(await files(weights, weights, weights, weights, weights, weights, weights))).get("a"),
  ).toEqual(weights.a);
});

it("takes 16-bit floats for what they are worth", async () => {
  // float16: 1 is 0x3c00, 2 is 0x4000.
  const half = { a: hostTensor("float16", [2], [0x3c00, 0x4000]) };
  expect((await averageWeights(await files(half, { a: row(3, 4) }))).get("a")).toEqual(row(2, 3));
});

it.each([
  [
    { a: row(1, 2), b: row(1) },
    { a: row(1, 2), b: row(1, 2) },
    /1\.safetensors, tensor "b": is \[2\] here and \[1\] in .*0\.safetensors/,
  ],
  [{ a: row(1) }, { a: row(1), b: row(1) }, /tensor "b": is \[1\] here and missing in/],
  [{ a: row(1), b: row(1) }, { a: row(1) }, /tensor "b": is missing here and \[1\] in/],
  [
    { a: hostTensor("int32", [1], [1]) },
    { a: hostTensor("int32", [1], [3]) },
    /tensor "a": float32, float16 or bfloat16 was wanted, got int32/,
  ],
])("of files that do not belong together is refused", async (first, second, message) => {
  await expect(averageWeights(await files(first, second))).rejects.toThrow(message);
});

it("of nothing is refused", async () => {
  await expect(averageWeights([])).rejects.toThrow("no file was given");
});
