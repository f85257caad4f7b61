// SHA-256 sums of data files, so that a result is known to come from the data it names.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { ConfigError, DataError } from "../base/index.ts";
import { checkFile } from "./file-lines.node.ts";

/**
 * Checks that a file's bytes (of a `.gz`, the packed bytes) have this SHA-256 sum, given as 64 hexadecimal digits.
 *
 * Throws DataError with both sums where they differ or the file cannot be read, ConfigError for what is no SHA-256 sum.
 *
 * @example
 * await verifyChecksum("train.en.gz", "ffdb848427a3fccff4f5c9c848dff8b8b5745e8f464f44341b6c5c5288f265db");
 */
export async function verifyChecksum(path: string, sha256: string): Promise<void> {
  const expected = sha256.toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(expected)) {
    throw new ConfigError(path, `"${sha256}" is no SHA-256 sum. Give 64 hexadecimal digits, as sha256sum prints them.`);
  }
  await checkFile(path);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  const found = hash.digest("hex");
  if (found === expected) return;
  throw new DataError(
    path,
    undefined,
    `SHA-256 is ${found}, expected ${expected}. Fetch the file again, or correct the sum if the data are meant to differ.`,
  );
}

/**
 * Checks a map of file → SHA-256 sum, paths relative to `directory`. The first file that differs is the one named.
 *
 * @example
 * await verifyChecksums({ "train.en.gz": "ffdb848427a3fccff4f5c9c848dff8b8b5745e8f464f44341b6c5c5288f265db" }, { directory: "data" });
 */
export async function verifyChecksums(
  sums: Readonly<Record<string, string>>,
  { directory = "." }: { directory?: string } = {},
): Promise<void> {
  for (const [path, sha256] of Object.entries(sums)) await verifyChecksum(join(directory, path), sha256);
}
