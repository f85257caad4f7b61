import { expect, test } from "vitest";
import { compile, FlatMemory, RandomBytes } from "../../../src/engine/index.ts";
import { randomKey } from "../../../src/base/index.ts";
import { cast, dim, input, mul } from "../../../src/tensor/index.ts";

test("the runtime reads feeds from flat memory and writes fetches into it", async () => {
  const n = dim("n");
  const x = input("x", "float32", [n]);
  const noise = input("noise", "uint8", [n]);
  const run = await compile({ name: "noisy", inputs: { x, noise }, outputs: { y: mul(x, cast(noise, "float32")) } });
  const region = { dtype: "float32", count: 32 } as const;
  const memory = new FlatMemory({ x: region, y: region });
  const [from, to] = [memory.tensor("x", "float32", [5], 3), memory.tensor("y", "float32", [5], 7)];
  from.data.set([1, 2, 3, 4, 5]);
  const bytes = new RandomBytes().fill([{ name: "noise", dims: [5], key: randomKey(1) }]);
  for (const factor of [1, 10]) {
    memory.scale(memory.floats("x"), factor);
    await run.run({ x: from, ...bytes }, { into: { y: to } });
    expect([...memory.floats("y", 6, 7)]).toEqual([
      0,
      ...[1, 2, 3, 4, 5].map((value, i) => value * factor * bytes.noise!.data[i]!),
      0,
    ]);
  }
  await run.dispose();
});
