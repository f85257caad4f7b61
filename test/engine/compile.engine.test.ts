// What compiled programs say when something does not fit.
import { expect, test } from "vitest";
import { ConfigError, hostTensor, ShapeError } from "../../src/base/index.ts";
import { compile, EngineError, type CompileOptions } from "../../src/engine/index.ts";
import * as t from "../../src/tensor/index.ts";

const [batch, time] = [t.dim("batch"), t.dim("time")];
const ids = t.input("ids", "int32", [batch, time]);
const table = t.input("table", "float32", [5, 2]);
const lookup: t.Program = { name: "lookup", inputs: { ids, table }, outputs: { rows: t.gather(table, ids) } };
const values = hostTensor("float32", [5, 2], new Float32Array(10));

async function failure(run: () => Promise<unknown>): Promise<Error> {
  try {
    await run();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not fail");
}

test("an id beyond its table names the program, the sizes of the run and what the runtime found", async () => {
  await using executable = await compile(lookup, { threads: 1 });
  const error = await failure(() => executable.run({ ids: hostTensor("int32", [1, 3], [0, 4, 5]), table: values }));
  expect(error).toBeInstanceOf(EngineError);
  expect(error.message).toMatch(/^lookup: a run with ids int32 \[1, 3\] and 1 more failed: .*out of data bounds/s);
  expect((error as EngineError).program).toBe("lookup");
  expect(error.cause).toBeInstanceOf(Error);
  const again = await executable.run({ ids: hostTensor("int32", [1, 1], [4]), table: values });
  expect(again.rows!.dims).toEqual([1, 1, 2]);
});

test("a program that the runtime has no kernel for is named", async () => {
  const x = t.input("x", "float64", [2]);
  const error = await failure(() => compile({ name: "wide", inputs: { x }, outputs: { y: t.erf(x) } }));
  expect(error).toBeInstanceOf(EngineError);
  expect(error.message).toMatch(/^wide: the runtime does not take the program: .*Erf/s);
});

const cases: [string, Record<string, ReturnType<typeof hostTensor>>, RegExp][] = [
  [
    "a dtype",
    { ids: hostTensor("int64", [1, 1], [0]), table: values },
    /lookup: input "ids" is int32 \[batch, time\], got int64 \[1, 1\]: dtypes differ/,
  ],
  ["a rank", { ids: hostTensor("int32", [1], [0]), table: values }, /number of axes differs/],
  [
    "a fixed size",
    { ids: hostTensor("int32", [1, 1], [0]), table: hostTensor("float32", [4, 2], new Float32Array(8)) },
    /5 is 5 elsewhere and 4 here/,
  ],
  [
    "an unknown name",
    { idz: hostTensor("int32", [1, 1], [0]), table: values },
    /there is no input "idz"; inputs are ids, table/,
  ],
  ["a missing one", { table: values }, /no value is given for ids/],
];
test.each(cases)("%s that does not fit is refused before the run", async (_, feeds, message) => {
  await using executable = await compile(lookup, { threads: 1 });
  await expect(executable.run(feeds)).rejects.toThrow(message);
});

test("two sizes under one name are refused, and a size that follows from names must follow", async () => {
  const keys = t.input("keys", "float32", [batch, time]);
  const mask = t.input("mask", "float32", [batch, t.addDims(time, 1)]);
  await using executable = await compile(
    { name: "cached", inputs: { mask, keys }, outputs: { y: t.add(t.pad(keys, { axis: 1, after: 1 }), mask) } },
    { threads: 1 },
  );
  const floats = (rows: number, columns: number) =>
    hostTensor("float32", [rows, columns], new Float32Array(rows * columns));
  expect((await executable.run({ mask: floats(2, 4), keys: floats(2, 3) })).y!.dims).toEqual([2, 4]);
  await expect(executable.run({ mask: floats(2, 4), keys: floats(1, 3) })).rejects.toThrow(
    /batch is 2 elsewhere and 1 here/,
  );
  await expect(executable.run({ mask: floats(2, 5), keys: floats(2, 3) })).rejects.toThrow(
    /input "mask" is \[2, 5\], where time \+ 1 is 4, not 5/,
  );
});

test("an output that does not exist is refused", async () => {
  await using executable = await compile(lookup, { threads: 1 });
  const run = executable.run({ ids: hostTensor("int32", [1, 1], [0]), table: values }, { outputs: ["row"] });
  await expect(run).rejects.toThrow(ShapeError);
});

const unavailable: [string, CompileOptions, RegExp][] = [
  ["a browser's provider", { provider: "wasm" }, /provider: "wasm" cannot be used here\. It is the browser's/],
  ["a browser's option", { wasmFolder: "/ort/" }, /wasmFolder: is for pages/],
];
test.each(unavailable)("%s is a configuration error in Node", async (_, options, message) => {
  const error = await failure(() => compile(lookup, options));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.message).toMatch(message);
});

test("CUDA either runs or says what it needs", async () => {
  try {
    await using executable = await compile(lookup, { provider: "cuda" });
    expect((await executable.run({ ids: hostTensor("int32", [1, 1], [0]), table: values })).rows!.dims).toEqual([
      1, 1, 2,
    ]);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toMatch(/provider: "cuda" cannot be used here\. It needs an NVIDIA driver/);
  }
});

test("memory that threads share is read as it is at each run, and written into", async () => {
  const x = t.input("x", "float32", [3]);
  await using executable = await compile(
    { name: "double", inputs: { x }, outputs: { y: t.mul(x, 2) } },
    { threads: 1 },
  );
  const shared = () => hostTensor("float32", [3], new Float32Array(new SharedArrayBuffer(12)));
  const [given, into] = [shared(), shared()];
  for (const first of [1, 5]) {
    given.data.set([first, 2, 3]);
    await executable.run({ x: given }, { into: { y: into } });
    expect([...into.data]).toEqual([2 * first, 4, 6]);
  }
});
