// A shortlist's file: safetensors with its three arrays.
import { hostTensor, FormatError } from "../base/index.ts";
import { openSafetensors, writeSafetensors } from "../formats/index.node.ts";
import { Shortlist, vocabularyFingerprint, type ListedVocabulary } from "./shortlist.ts";

/** Writes the list whole or not at all. */
export async function saveShortlist(path: string, { contents }: Shortlist): Promise<void> {
  const { common, offsets, tokens, targetVocabulary, fingerprint } = contents;
  await writeSafetensors(
    path,
    [
      ["common", hostTensor("int32", [common.length], common)],
      ["offsets", hostTensor("uint32", [offsets.length], offsets)],
      ["tokens", hostTensor("int32", [tokens.length], tokens)],
    ],
    { metadata: { format: "heddle shortlist 1", targetVocabulary: `${targetVocabulary}`, fingerprint } },
  );
}

/** Reads a list that was learnt for these vocabularies. Throws FormatError for one of others. */
export async function readShortlist(
  path: string,
  vocabularies: { readonly source: ListedVocabulary; readonly target: ListedVocabulary },
): Promise<Shortlist> {
  await using file = await openSafetensors(path);
  const { format, targetVocabulary, fingerprint } = file.header.metadata as Readonly<
    Record<string, string | undefined>
  >;
  if (format !== "heddle shortlist 1") throw new FormatError(path, "is no shortlist. Make one with heddle shortlist.");
  if (fingerprint !== vocabularyFingerprint(vocabularies.source, vocabularies.target))
    throw new FormatError(path, "was learnt for other vocabularies. Make it anew with heddle shortlist.");
  const [common, offsets, tokens] = [await file.read("common"), await file.read("offsets"), await file.read("tokens")];
  if (common.dtype !== "int32" || offsets.dtype !== "uint32" || tokens.dtype !== "int32")
    throw new FormatError(path, "common and tokens must be int32, offsets uint32");
  return new Shortlist({
    common: common.data as Int32Array,
    offsets: offsets.data as Uint32Array,
    tokens: tokens.data as Int32Array,
    targetVocabulary: Number(targetVocabulary),
    fingerprint,
  });
}
