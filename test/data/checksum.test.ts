import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyChecksum, verifyChecksums } from "../../src/data/index.node.ts";
import { shared, sharedFile } from "../shared.ts";

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "heddle-checksum-"));
  path = join(folder, "abc.txt");
  await writeFile(path, "abc");
});
afterAll(() => rm(folder, { recursive: true }));

// FIPS 180-2, appendix B.1: the sum of "abc".
const sumOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

describe("verifyChecksum", () => {
  it("is silent where the sum is right, in either case of its letters", async () => {
    await verifyChecksum(path, sumOfAbc);
    await verifyChecksum(path, sumOfAbc.toUpperCase());
    await verifyChecksums({ "abc.txt": sumOfAbc }, { directory: folder });
  });

  it("names the file and both sums where it is wrong", async () => {
    const other = createHash("sha256").update("abd").digest("hex");
    await expect(verifyChecksum(path, other)).rejects.toThrow(`${path}: SHA-256 is ${sumOfAbc}, expected ${other}`);
    await expect(verifyChecksums({ "abc.txt": other }, { directory: folder })).rejects.toThrow(path);
  });

  it("refuses what is no sum, and a file that is not there", async () => {
    await expect(verifyChecksum(path, "abc")).rejects.toThrow("64 hexadecimal digits");
    await expect(verifyChecksum(join(folder, "none"), sumOfAbc)).rejects.toThrow("no such file");
  });

  it.skipIf(!shared)(
    "agrees with sha256sum's list of the Multi30k files [skipped unless HEDDLE_SHARED is set]",
    async () => {
      const list = sharedFile("data", "multi30k", "SHA256SUMS");
      const entries = (await readFile(list, "utf8"))
        .trim()
        .split("\n")
        .map((line) => line.split(/\s+\*?/).reverse());
      expect(entries).toHaveLength(24);
      await verifyChecksums(Object.fromEntries(entries) as Record<string, string>, { directory: dirname(list) });
    },
  );
});
