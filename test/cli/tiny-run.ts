// A run's folder with a model of one layer that was never trained, and commands called on it.
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import type { HostTensor } from "../../src/base/index.ts";
import { run } from "../../src/cli/program.ts";
import { writeSafetensors } from "../../src/formats/index.node.ts";
import { Transformer } from "../../src/models/index.ts";
import { initialize, namedParameters } from "../../src/nn/index.ts";
import { saveTokenizer, WordTokenizer } from "../../src/text/index.node.ts";

export const tokenizer = WordTokenizer.train(["red blue street one two"]);
const options = { dModel: 8, heads: 2, layers: 1, dFeedForward: 8, tying: "two-way" } as const;

export interface TinyRun {
  readonly folder: string;
  /** The weights' file, to be given as --checkpoint. */
  readonly checkpoint: string;
  readonly model: Transformer;
  readonly weights: ReadonlyMap<string, HostTensor<"float32">>;
}

/** Writes the folder; `change` may set weights before they are written. */
export async function tinyRun(
  change: (weights: ReadonlyMap<string, HostTensor<"float32">>) => void = () => {},
): Promise<TinyRun> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-run-"));
  const config = {
    model: options,
    tokenizer: { type: "word", joint: true },
    data: { train: { source: "train.en", target: "train.de" } },
  };
  await writeFile(join(folder, "config.yaml"), JSON.stringify(config));
  await saveTokenizer(join(folder, "tokenizer.json"), tokenizer);
  const model = new Transformer({ ...options, vocabularySize: tokenizer.vocabularySize });
  const weights = initialize(namedParameters(model), 1);
  change(weights);
  const checkpoint = join(folder, "model.safetensors");
  await writeSafetensors(checkpoint, weights);
  return { folder, checkpoint, model, weights };
}

/** Runs a command line and gives what it printed. */
export async function call(...words: string[]): Promise<{ code: number; out: string; error: string }> {
  let [out, error] = ["", ""];
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text, ...rest) => {
    out += String(text);
    // Who waits until it is written is told.
    for (const written of rest) if (typeof written === "function") written();
    return true;
  });
  try {
    return { code: await run(words, { writeError: (text) => void (error += text) }), out, error };
  } finally {
    spy.mockRestore();
  }
}
