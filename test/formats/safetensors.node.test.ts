import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { FormatError, hostTensor, type HostTensor } from "../../src/base/index.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  openSafetensors,
  toFloat32,
  writeAside,
  writeSafetensors,
} from "../../src/formats/index.node.ts";
import { shared, sharedFile } from "../shared.ts";
import { joined, utf8 } from "./bytes.ts";

const root = mkdtempSync(join(tmpdir(), "heddle-formats-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(root, "case-"))));

const tensors: [string, HostTensor][] = [
  ["b", hostTensor("bool", [3], [1, 0, 1])],
  ["w", hostTensor("float32", [2, 2], [1, 2, 3, 4])],
];

describe("writing and reading files", () => {
  test("a file holds what was written, and nothing else is left in the folder", async () => {
    const path = join(folder, "model.safetensors");
    await writeSafetensors(path, tensors, { metadata: { format: "pt" } });
    expect(readdirSync(folder)).toEqual(["model.safetensors"]);
    expect(new Uint8Array(readFileSync(path))).toEqual(
      joined(encodeSafetensors(tensors, { metadata: { format: "pt" } })),
    );
    await using file = await openSafetensors(path);
    expect(file.header.metadata).toEqual({ format: "pt" });
    expect([...file.header.tensors.keys()]).toEqual(["w", "b"]);
    for (const [name, tensor] of tensors) expect(await file.read(name)).toEqual(tensor);
    await expect(file.read("v")).rejects.toThrow(`${path}, tensor "v": is not in the file, which holds 2 tensors`);
  });

  test("a cut file is refused by the tensor that is cut, and one that shrinks while open too", async () => {
    const path = join(folder, "cut.safetensors");
    await writeSafetensors(path, tensors);
    await using file = await openSafetensors(path);
    truncateSync(path, readFileSync(path).length - 1);
    await expect(file.read("b")).rejects.toThrow(`${path}, tensor "b": the file ended after 2 of 3 bytes`);
    await expect(openSafetensors(path)).rejects.toThrow(`${path}, tensor "b": reaches to byte`);
  });

  test.each([0, 3, 8, 20])("a file of the first %i bytes is refused", async (length) => {
    const path = join(folder, "short.safetensors");
    writeFileSync(path, joined(encodeSafetensors(tensors)).subarray(0, length));
    await expect(openSafetensors(path)).rejects.toThrow(FormatError);
  });

  test("tensors beyond 4 GiB are read by position, in a file that is mostly a hole", async () => {
    const path = join(folder, "large.safetensors");
    const gap = 5 * 2 ** 30;
    const header = JSON.stringify({
      gap: { dtype: "U8", shape: [gap], data_offsets: [0, gap] },
      last: { dtype: "I32", shape: [2], data_offsets: [gap, gap + 8] },
    });
    const head = new Uint8Array(8);
    new DataView(head.buffer).setBigUint64(0, BigInt(header.length), true);
    const sparse = await open(path, "w");
    await sparse.write(joined([head, utf8(header)]));
    await sparse.write(new Uint8Array(new Int32Array([7, -7]).buffer), 0, 8, 8 + header.length + gap);
    await sparse.close();
    await using file = await openSafetensors(path);
    expect(await file.read("last")).toEqual(hostTensor("int32", [2], [7, -7]));
  });
});

describe("a file that could not be written whole is not there", () => {
  test("after an error on the way, the old file stands and nothing is left aside", async () => {
    const path = join(folder, "file");
    await writeAside(path, [utf8("old")]);
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield utf8("half");
      await sleep(1);
      throw new Error("the source failed");
    }
    await expect(writeAside(path, failing())).rejects.toThrow("the source failed");
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  test("a folder that is not there is the system's error", async () => {
    await expect(writeAside(join(folder, "none", "file"), [])).rejects.toThrow("ENOENT");
  });

  const source = fileURLToPath(new URL("../../src/formats/index.node.ts", import.meta.url));

  /** Runs `body` in a process of its own, with the room's exports as `formats`; `limit` is the shell's limit on a file's size in blocks. */
  function child(body: string, limit = "unlimited") {
    const program = `import { runnerImport } from "vite"; const { module: formats } = await runnerImport(${JSON.stringify(source)}, { logLevel: "error" }); ${body}`;
    const process = spawn("sh", ["-c", `ulimit -f ${limit}; exec node --input-type=module -e "$0"`, program]);
    let output = "";
    process.stdout.on("data", (data: Buffer) => (output += data.toString()));
    process.stderr.on("data", (data: Buffer) => (output += data.toString()));
    return { process, output: () => output };
  }

  test.skipIf(process.platform === "win32")(
    "a disk that takes no more leaves the old file and nothing aside",
    async () => {
      const path = join(folder, "file");
      await writeAside(path, [utf8("old")]);
      // A limit on the file's size fails the write as a full disk does, after a part has been written.
      const body = `try { await formats.writeAside(${JSON.stringify(path)}, [new Uint8Array(2 ** 20), new Uint8Array(2 ** 26)]); console.log("written"); }
      catch (error) { console.log(error.code); }`;
      const { process: writer, output } = child(body, "8192");
      await once(writer, "close");
      expect(output()).toBe("EFBIG\n");
      expect(readFileSync(path, "utf8")).toBe("old");
      expect(readdirSync(folder)).toEqual(["file"]);
    },
  );

  test.skipIf(process.platform === "win32")(
    "killed at any moment of writing, the file is the old one or the new one, whole",
    async () => {
      const path = join(folder, "model.safetensors");
      const body = `for (let step = 0; ; step++) {
      const data = new Int32Array(2 ** 22).fill(step);
      await formats.writeSafetensors(${JSON.stringify(path)}, [["w", { dtype: "int32", dims: [data.length], data }]]);
      console.log(step);
    }`;
      for (const waitMs of [0, 7, 20, 45, 80]) {
        const { process: writer, output } = child(body);
        await Promise.race([once(writer.stdout, "data"), once(writer, "close")]);
        await sleep(waitMs);
        writer.kill("SIGKILL");
        await once(writer, "close");
        expect(output()).toMatch(/^(\d+\n)+$/);
        const written = Number(output().trim().split("\n").at(-1));
        const { data } = decodeSafetensors(new Uint8Array(readFileSync(path)), { place: path }).tensors.get("w")!;
        // The last one reported, or the next, whose report the kill cut off.
        expect([written, written + 1]).toContain(data[0]);
        expect(data.every((value) => value === data[0])).toBe(true);
      }
    },
  );
});

describe.skipIf(!shared)(
  `files that the reference library wrote${shared ? "" : " [skipped: set HEDDLE_SHARED]"}`,
  () => {
    const files = shared
      ? readdirSync(sharedFile("fixtures", "hf"), { recursive: true, encoding: "utf8" })
          .filter((name) => name.endsWith(".safetensors"))
          .sort()
      : [];

    test("there are some", () => {
      expect(files.length).toBeGreaterThan(50);
    });

    test.each(files)("%s reads the same by tensor as in one piece, and survives being written again", async (name) => {
      const path = sharedFile("fixtures", "hf", name);
      const whole = decodeSafetensors(new Uint8Array(readFileSync(path)), { place: name });
      const again = decodeSafetensors(joined(encodeSafetensors(whole.tensors, whole)));
      expect(again.metadata).toEqual(whole.metadata);
      expect(again.tensors.size).toBe(whole.tensors.size);
      await using file = await openSafetensors(path);
      expect([...file.header.tensors.keys()]).toEqual([...whole.tensors.keys()]);
      const same = (a: HostTensor, b: HostTensor): boolean =>
        a.dtype === b.dtype &&
        a.dims.join() === b.dims.join() &&
        Buffer.compare(
          Buffer.from(a.data.buffer, a.data.byteOffset, a.data.byteLength),
          Buffer.from(b.data.buffer, b.data.byteOffset, b.data.byteLength),
        ) === 0;
      for (const [key, tensor] of whole.tensors) {
        expect(same(await file.read(key), tensor), key).toBe(true);
        expect(same(again.tensors.get(key)!, tensor), key).toBe(true);
      }
    });

    test.each(["marian", "bart", "llama_bf16"])("%s: the numbers are those that its JSON gives again", (name) => {
      const expected = JSON.parse(readFileSync(sharedFile("fixtures", "hf", name, "expected.json"), "utf8")) as {
        inputs: Record<string, unknown>;
        loss: number;
      };
      const { tensors: read } = decodeSafetensors(
        new Uint8Array(readFileSync(sharedFile("fixtures", "hf", name, "expected.safetensors"))),
      );
      expect(Array.from(read.get("in.input_ids")!.data, Number)).toEqual(
        (expected.inputs["input_ids"] as number[][]).flat(),
      );
      expect(read.get("out.loss")!.data[0]).toBeCloseTo(expected.loss, 5);
      if (name === "llama_bf16") {
        const { tensors: weights } = decodeSafetensors(
          new Uint8Array(readFileSync(sharedFile("fixtures", "hf", name, "model.safetensors"))),
        );
        for (const [key, tensor] of weights) {
          expect(tensor.dtype, key).toBe("bfloat16");
          expect(
            toFloat32(tensor, `${basename(name)} ${key}`).data.every(
              (value) => Number.isFinite(value) && Math.abs(value) < 100,
            ),
            key,
          ).toBe(true);
        }
      }
    });
  },
);
