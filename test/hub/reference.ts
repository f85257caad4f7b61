// Reference checkpoints and what the reference implementation computes from them; see test/fixtures/hf/README.md.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { decodeSafetensors } from "../../src/formats/index.ts";
import { shared, sharedFile } from "../shared.ts";

export interface Reference {
  readonly folder: string;
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly inputs: Record<"input_ids" | "attention_mask" | "labels" | "decoder_input_ids", number[][]>;
  readonly loss: number;
  readonly generation_inputs: { readonly input_ids: number[][] };
  readonly generation: readonly {
    readonly kwargs: Record<string, unknown>;
    readonly sequences: number[][];
    readonly sequences_scores?: number[];
  }[];
  readonly train: {
    readonly optimizer: {
      readonly lr: number;
      readonly betas: [number, number];
      readonly eps: number;
      readonly weight_decay: number;
    };
    readonly losses: number[];
    readonly grads_step0: Readonly<Record<string, { readonly l2: number; readonly sum: number }>>;
  };
}

/** Folders by name; undefined where the folder is not in the repository and HEDDLE_SHARED is not set. */
export const referenceFolders: Readonly<Record<string, string | undefined>> = {
  marian: fileURLToPath(new URL("../fixtures/hf/marian", import.meta.url)),
  bart: fileURLToPath(new URL("../fixtures/hf/bart", import.meta.url)),
  bart_sharded: shared === undefined ? undefined : sharedFile("fixtures", "hf", "bart_sharded"),
};

export async function readReference(folder: string): Promise<Reference> {
  const { tensors } = decodeSafetensors(new Uint8Array(await readFile(join(folder, "expected.safetensors"))));
  const { inputs, loss, generation_inputs, generation, train } = JSON.parse(
    await readFile(join(folder, "expected.json"), "utf8"),
  );
  return { folder, tensors, inputs, loss, generation_inputs, generation, train };
}

/** Rows of equal length as [rows, columns]. */
export function idTensor(rows: readonly (readonly number[])[]): HostTensor<"int32"> {
  return hostTensor("int32", [rows.length, rows[0]!.length], rows.flat());
}
