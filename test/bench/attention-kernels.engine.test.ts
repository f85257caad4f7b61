import { describe, expect, test } from "vitest";
import { hostTensor, randomKey, RandomStream } from "../../src/base/index.ts";
import { compile } from "../../src/engine/index.ts";
import { attentionProgram, dHead, heads, kernels } from "../../bench/attention-kernels.ts";

const stream = new RandomStream(randomKey(1));
const time = 32;
const draw = () =>
  hostTensor(
    "float32",
    [1, heads, time, dHead],
    Float32Array.from({ length: heads * time * dHead }, () => stream.normal()),
  );
const feeds = { query: draw(), key: draw(), value: draw(), above: draw() };

describe.each(Object.keys(kernels))("%s", (name) => {
  test("runs forward and backward, and nothing comes from a token that stands behind", async () => {
    await using executable = await compile(attentionProgram(name), { threads: 1 });
    const gradients = await executable.run(feeds);
    for (const { data } of Object.values(gradients)) expect((data as Float32Array).every(Number.isFinite)).toBe(true);
    // A gradient from above at the first place alone can only reach the first key and value.
    const above = hostTensor("float32", feeds.above.dims, new Float32Array(heads * time * dHead));
    for (let head = 0; head < heads; head++) above.data.fill(1, head * time * dHead, head * time * dHead + dHead);
    const { dValue } = await executable.run({ ...feeds, above });
    const values = dValue!.data as Float32Array;
    const later = values.filter((value, i) => Math.floor(i / dHead) % time > 0 && value !== 0);
    expect(later).toHaveLength(0);
    expect(values.some((value) => value !== 0)).toBe(true);
  });
});
