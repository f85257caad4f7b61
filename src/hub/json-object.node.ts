// A file that holds one JSON object, in and out.
import { readFile } from "node:fs/promises";
import { FormatError } from "../base/index.ts";
import { writeAside } from "../formats/index.node.ts";
import type { HubConfig } from "./family.ts";

/** `wanted` says what folder the file should have been found in. Throws FormatError for what is missing or no object. */
export async function readObject(path: string, wanted: string): Promise<HubConfig> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) throw new FormatError(path, `is not JSON: ${error.message}`);
    if ((error as { code?: unknown }).code === "ENOENT")
      throw new FormatError(path, `does not exist. ${wanted} was wanted.`);
    throw error;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new FormatError(path, "a JSON object was wanted");
  return value as HubConfig;
}

export async function writeObject(path: string, value: object): Promise<void> {
  await writeAside(path, [new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`)]);
}
