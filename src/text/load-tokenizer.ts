// tokenizer.json → the tokenizer it describes, if it is one of ours; any component we would get wrong is refused by name.
import { FormatError, HeddleError } from "../base/index.ts";
import { BpeTokenizer } from "./bpe-tokenizer.ts";
import { CharacterTokenizer } from "./character-tokenizer.ts";
import { bpeModelJson, wordModelJson } from "./model-json.ts";
import type { Pieces } from "./piece-tokenizer.ts";
import { schemeJson, type Scheme, type WordBoundary } from "./scheme.ts";
import { addedTokenJson, basicTokens } from "./special-tokens.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { WordTokenizer } from "./word-tokenizer.ts";

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads a parsed `tokenizer.json`. `place` is what errors call it, best its path.
 *
 * @throws FormatError naming the component that is broken or that Heddle does not implement
 *
 * @example
 * const json = BpeTokenizer.train(["low lower lowest"]).toJSON();
 * loadTokenizer(json, "runs/en-de/tokenizer.json").tokens("low");
 */
export function loadTokenizer(json: unknown, place = "tokenizer.json"): Tokenizer {
  const file = objectAt(json, place, "the file");
  if (file["version"] !== "1.0") throw new FormatError(place, `version must be "1.0" (got ${brief(file["version"])}).`);
  for (const component of ["truncation", "padding", "post_processor"] as const) {
    if ((file[component] ?? null) !== null) throw unsupported(place, component, file[component], "null");
  }
  const model = objectAt(file["model"], place, "model");
  const type = model["type"];
  if (type !== "BPE" && type !== "WordLevel") throw unsupported(place, "model", model, "BPE or WordLevel");
  const vocabulary = readVocabulary(model["vocab"], place);
  const pieces: Pieces = {
    vocabulary,
    specialTokens: readAddedTokens(file["added_tokens"], vocabulary, place),
    scheme: readScheme(file, place),
  };
  const { scheme } = pieces;

  try {
    if (type === "WordLevel") {
      if (scheme.byteFallback || scheme.boundary === "none")
        throw unsupported(
          place,
          "decoder",
          file["decoder"],
          "what goes with WordLevel: words cut at spaces, no ByteFallback",
        );
      requireFields(model, wordModelJson({}), ["vocab"], place);
      return new WordTokenizer(pieces);
    }
    requireFields(model, bpeModelJson({}, [], scheme.byteFallback), ["vocab", "merges"], place);
    const merges = readMerges(model["merges"], place);
    return merges.length === 0 && scheme.boundary === "none"
      ? new CharacterTokenizer(pieces)
      : new BpeTokenizer(pieces, merges);
  } catch (error) {
    // What a constructor finds amiss is amiss with the file.
    if (error instanceof HeddleError && !(error instanceof FormatError)) throw new FormatError(place, error.message);
    throw error;
  }
}

const boundaries: readonly WordBoundary[] = ["none", "spaces", "punctuation"];
const schemes: readonly Scheme[] = boundaries.flatMap((boundary) =>
  [true, false].flatMap((leadingSpace) =>
    [true, false].map((byteFallback) => ({ boundary, leadingSpace, byteFallback })),
  ),
);

/** The scheme whose components are those of the file. */
function readScheme(file: JsonObject, place: string): Scheme {
  let candidates = schemes;
  for (const component of ["normalizer", "pre_tokenizer", "decoder"] as const) {
    const found = file[component] ?? null;
    candidates = candidates.filter((scheme) => sameJson(schemeJson(scheme)[component], found));
    if (candidates.length === 0)
      throw unsupported(place, component, found, "one that Heddle writes, fitting the components before it");
  }
  return candidates[0]!;
}

function readVocabulary(vocab: unknown, place: string): string[] {
  const entries = Object.entries(objectAt(vocab, place, "model.vocab"));
  const vocabulary: string[] = [];
  for (const [token, id] of entries) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= entries.length) {
      throw new FormatError(
        place,
        `model.vocab: ids must be 0 to ${entries.length - 1}, each once (${brief(token)} has ${brief(id)}).`,
      );
    }
    if (vocabulary[id] !== undefined)
      throw new FormatError(place, `model.vocab: ${brief(vocabulary[id])} and ${brief(token)} have the same id ${id}.`);
    vocabulary[id] = token;
  }
  return vocabulary;
}

function readAddedTokens(added: unknown, vocabulary: readonly string[], place: string): string[] {
  if (!Array.isArray(added)) throw new FormatError(place, `added_tokens must be a list (got ${brief(added)}).`);
  const tokens = added.map((entry: unknown, i) => {
    const { content, id } = objectAt(entry, place, `added_tokens[${i}]`);
    if (typeof content !== "string" || content === "" || typeof id !== "number")
      throw new FormatError(place, `added_tokens[${i}] must have content and id (got ${brief(entry)}).`);
    if (vocabulary[id] !== content)
      throw new FormatError(place, `added_tokens[${i}]: ${brief(content)} must stand in model.vocab with id ${id}.`);
    if (!sameJson(addedTokenJson(content, id), entry))
      throw unsupported(
        place,
        `added_tokens[${i}]`,
        entry,
        "a special token matched as it stands, without stripping or normalizing",
      );
    return content;
  });
  for (const token of Object.values(basicTokens)) {
    if (!tokens.includes(token))
      throw new FormatError(
        place,
        `added_tokens: ${token} is missing; Heddle's tokenizers have ${Object.values(basicTokens).join(" ")}.`,
      );
  }
  return tokens;
}

function readMerges(merges: unknown, place: string): [string, string][] {
  if (!Array.isArray(merges)) throw new FormatError(place, `model.merges must be a list (got ${brief(merges)}).`);
  return merges.map((merge: unknown, i) => {
    // Before 2024 the two halves were one string with a space between; no token of ours has a space.
    const halves: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    if (
      !Array.isArray(halves) ||
      halves.length !== 2 ||
      typeof halves[0] !== "string" ||
      typeof halves[1] !== "string"
    ) {
      throw new FormatError(place, `model.merges[${i}] must be two tokens (got ${brief(merge)}).`);
    }
    return [halves[0], halves[1]];
  });
}

/** Everything but the fields left out must be as we write it. */
function requireFields(found: JsonObject, wanted: object, leaveOut: readonly string[], place: string): void {
  const expected = new Map<string, unknown>(Object.entries(wanted));
  for (const key of new Set([...expected.keys(), ...Object.keys(found)])) {
    if (leaveOut.includes(key)) continue;
    const value = expected.get(key) ?? null;
    if (!sameJson(value, found[key] ?? null)) throw unsupported(place, `model.${key}`, found[key], brief(value));
  }
}

function objectAt(value: unknown, place: string, what: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new FormatError(place, `${what} must be an object (got ${brief(value)}).`);
  return value as JsonObject;
}

function unsupported(place: string, component: string, found: unknown, wanted: string): FormatError {
  return new FormatError(
    place,
    `${component} ${brief(found)} is not implemented (wanted ${wanted}). Heddle reads tokenizers that it wrote.`,
  );
}

/** Enough of a value to recognise it. */
function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || a === null) return a === b;
  if (typeof b !== "object" || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [Object.entries(a), new Map<string, unknown>(Object.entries(b))];
  return left.length === right.size && left.every(([key, value]) => right.has(key) && sameJson(value, right.get(key)));
}
