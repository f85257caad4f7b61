// Reference checkpoints and what the reference implementation computes from them; see test/fixtures/hf/README.md.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { hostTensor, type HostTensor } from "../../src/base/index.ts";
import { decodeSafetensors, toFloat32 } from "../../src/formats/index.ts";
import { shared, sharedFile } from "../shared.ts";

export interface Reference {
  readonly folder: string;
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly inputs: Record<
    "input_ids" | "attention_mask" | "labels" | "decoder_input_ids" | "token_type_ids",
    number[][]
  > &
    Record<"start_positions" | "end_positions", number[]>;
  readonly loss: number;
  readonly generation_inputs: { readonly input_ids: number[][]; readonly attention_mask: number[][] };
  readonly generation: readonly {
    readonly kwargs: Record<string, unknown>;
    readonly sequences: number[][];
    readonly sequences_scores?: number[];
  }[];
  /** Absent where only the forward pass was taken. */
  readonly train?: {
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

const here = (name: string): string => fileURLToPath(new URL(`../fixtures/hf/${name}`, import.meta.url));
const elsewhere = (name: string): string | undefined =>
  shared === undefined ? undefined : sharedFile("fixtures", "hf", name);

/** Encoder-decoders by name; undefined where the folder is not in the repository and HEDDLE_SHARED is not set. */
export const referenceFolders: Readonly<Record<string, string | undefined>> = {
  marian: here("marian"),
  bart: here("bart"),
  bart_sharded: elsewhere("bart_sharded"),
};

/** Encoders with a head, likewise. */
export const encoderFolders: Readonly<Record<string, string | undefined>> = {
  bert_mlm: here("bert_mlm"),
  bert_multilabel: elsewhere("bert_multilabel"),
  bert_token: elsewhere("bert_token"),
  bert_qa: elsewhere("bert_qa"),
};

/** Decoders alone, likewise. */
export const decoderFolders: Readonly<Record<string, string | undefined>> = {
  gpt2: here("gpt2"),
  llama: here("llama"),
  llama_bf16: elsewhere("llama_bf16"),
  llama_ntk: elsewhere("llama_ntk"),
  mistral: elsewhere("mistral"),
  mixtral: elsewhere("mixtral"),
  bloom: elsewhere("bloom"),
};

/** What the name of a group of tests ends in where its folder is missing. */
export const skipped = (folder: string | undefined): string =>
  folder === undefined ? " [skipped: set HEDDLE_SHARED]" : "";

export async function readReference(folder: string): Promise<Reference> {
  const { tensors } = decodeSafetensors(new Uint8Array(await readFile(join(folder, "expected.safetensors"))));
  const { inputs, loss, generation_inputs, generation, train } = JSON.parse(
    await readFile(join(folder, "expected.json"), "utf8"),
  );
  return { folder, tensors, inputs, loss, generation_inputs, generation, train };
}

/** What a folder's one file of weights holds, widened to float32. */
export async function storedTensors(folder: string): Promise<Map<string, HostTensor<"float32">>> {
  const { tensors } = decodeSafetensors(new Uint8Array(await readFile(join(folder, "model.safetensors"))));
  return new Map([...tensors].map(([name, tensor]) => [name, toFloat32(tensor, name)]));
}

/** Rows of equal length as [rows, columns]. */
export function idTensor(rows: readonly (readonly number[])[]): HostTensor<"int32"> {
  return hostTensor("int32", [rows.length, rows[0]!.length], rows.flat());
}
