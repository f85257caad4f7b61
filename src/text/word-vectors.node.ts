// Word vectors in files.
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { DataError, FormatError } from "../base/index.ts";
import { readWordVectors, type ReadWordVectorsOptions, type WordVectors } from "./word-vectors.ts";

/**
 * Reads a file of word vectors: `.bin` is binary, any other name text, and `.gz` behind either is unpacked.
 * Throws DataError for a file that cannot be read, and FormatError as `readWordVectors`.
 *
 * @example
 * const vectors = await wordVectorsFile("GoogleNews-vectors-negative300.bin.gz", { keep: (word) => known.has(word) });
 */
export async function wordVectorsFile(path: string, options: ReadWordVectorsOptions = {}): Promise<WordVectors> {
  const plain = path.replace(/\.gz$/i, "");
  const file = createReadStream(path);
  // A failure of the file destroys the gunzip with the same error, which the reader then throws.
  const chunks = plain === path ? file : pipeline(file, createGunzip(), () => {});
  try {
    const format = /\.bin$/i.test(plain) ? "binary" : "text";
    return await readWordVectors(chunks as AsyncIterable<Uint8Array>, { format, place: path, ...options });
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "Z_BUF_ERROR")
      throw new FormatError(path, "the gzip data end too early. The file was cut short: fetch it again.");
    if (typeof code === "string" && code.startsWith("Z_"))
      throw new FormatError(path, "damaged gzip data, or not gzip at all");
    if (code === "ENOENT" || code === "ENOTDIR")
      throw new DataError(
        path,
        undefined,
        "there is no such file. Check the path, which starts from the current folder.",
      );
    if (code === "EISDIR")
      throw new DataError(path, undefined, "a folder where a file was expected. Name a file in it.");
    throw error;
  } finally {
    file.destroy();
  }
}
