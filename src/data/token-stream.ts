// All documents of a corpus as one stream of tokens, and the windows in which models read it.
import { ConfigError, DataError, silent, type Listener } from "../base/index.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { TextCorpus } from "./text-corpus.ts";
import { GrowingInts, type Encoder } from "./token-rows.ts";

/** What this file needs of a tokenizer. */
export interface TextEncoding extends Encoder {
  readonly special: Readonly<Record<"pad" | "unknown" | "start" | "end", number>>;
}

export interface TokenStreamContents {
  /** END, then each document with END behind it: END x… END y… END. */
  tokens: Int32Array;
  /** Where each document begins among the tokens. */
  starts: Int32Array;
  /** Line of each document in its file, from 1. */
  lines: Int32Array;
  files: readonly string[];
  fileOf: Int32Array;
  /** Bytes of the documents in UTF-8, with the line ends that END stands for. */
  bytes: number;
  /** Code points, counted alike. */
  characters: number;
  /** Tokens that stand for what the vocabulary cannot spell. */
  unknown: number;
}

/** A corpus as ids, end to end. The END in front is what the first token of all comes after. */
export class TokenStream {
  readonly tokens: Int32Array;
  readonly bytes: number;
  readonly characters: number;
  readonly unknown: number;
  readonly #contents: TokenStreamContents;
  #fingerprint: string | undefined;

  constructor(contents: TokenStreamContents) {
    this.tokens = contents.tokens;
    this.bytes = contents.bytes;
    this.characters = contents.characters;
    this.unknown = contents.unknown;
    this.#contents = contents;
  }

  /** Documents in the stream. */
  get count(): number {
    return this.#contents.starts.length;
  }

  /** File and line of the document that a token belongs to. */
  placeOf(token: number): { file: string; line: number } {
    const { starts, files, fileOf, lines } = this.#contents;
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (starts[middle]! <= token) low = middle;
      else high = middle - 1;
    }
    return { file: files[fileOf[low]!]!, line: lines[low]! };
  }

  /** 64 bits that change with any token; a saved position is worth nothing on other data. */
  get fingerprint(): string {
    this.#fingerprint ??= fingerprintOf([this.tokens]);
    return this.#fingerprint;
  }
}

/**
 * Reads a corpus once and keeps it as ids. One warning says where tokens stand for what the vocabulary cannot spell: figures a
 * byte then promise more than the model can do.
 *
 * Throws DataError where there is no text.
 *
 * @example
 * const special = { pad: 256, unknown: 257, start: 258, end: 259 };
 * const bytes = { encode: (text: string) => new TextEncoder().encode(text), special };
 * const { tokens } = await encodeTexts(textsOf(["a", "b"]), bytes); // [259, 97, 259, 98, 259]
 */
export async function encodeTexts(
  corpus: TextCorpus,
  tokenizer: TextEncoding,
  { listener = silent }: { listener?: Listener } = {},
): Promise<TokenStream> {
  const { end, unknown } = tokenizer.special;
  const utf8 = new TextEncoder();
  const [tokens, starts, lines, fileOf] = [new GrowingInts(), new GrowingInts(), new GrowingInts(), new GrowingInts()];
  const files: string[] = [];
  let [bytes, characters, unknowns] = [0, 0, 0];
  tokens.push(end);
  for await (const { text, closedBy, file, line } of corpus) {
    const ids = tokenizer.encode(text);
    for (let i = 0; i < ids.length; i++) if (ids[i] === unknown) unknowns++;
    starts.push(tokens.length);
    tokens.append(ids);
    tokens.push(end);
    lines.push(line);
    if (files.at(-1) !== file) files.push(file);
    fileOf.push(files.length - 1);
    bytes += utf8.encode(text).length + closedBy.length;
    characters += codePoints(text) + closedBy.length;
    if (starts.length % progressEvery === 0)
      listener({ type: "progress", task: `encoding ${corpus.name}`, done: starts.length, total: undefined });
  }
  if (tokens.length === 1 + starts.length)
    throw new DataError(corpus.name, undefined, "there is no text in it. Name a file with at least one line of text.");
  if (unknowns > 0) {
    const message = `${corpus.name}: ${unknowns} of ${tokens.length - 1} tokens stand for what the vocabulary cannot spell. Set tokenizer.byteFallback to spell everything.`;
    listener({ type: "log", level: "warning", message });
  }
  return new TokenStream({
    tokens: tokens.toArray(),
    starts: starts.toArray(),
    lines: lines.toArray(),
    files,
    fileOf: fileOf.toArray(),
    bytes,
    characters,
    unknown: unknowns,
  });
}

const progressEvery = 10_000;

/** Pairs of surrogates are one code point. */
function codePoints(text: string): number {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}

/** A stretch of a stream: tokens[start … start + length], of which all but the first are asked for, or only the last `asked`. */
export interface Window {
  readonly start: number;
  /** One more than tokens are read: each is asked for the next. */
  readonly length: number;
  /** How many of them are asked for here; those before were asked for in an earlier window. */
  readonly asked: number;
}

/**
 * Cuts `count` tokens into windows that read `contextTokens` each, the last one fewer. Every token but the first is asked for in
 * exactly one of them; with an overlap each window begins that many tokens inside the one before.
 *
 * @example
 * windowsOf(6, { contextTokens: 4 }); // [{ start: 0, length: 5, asked: 4 }, { start: 4, length: 2, asked: 1 }]
 */
export function windowsOf(
  count: number,
  { contextTokens, overlapTokens = 0 }: { contextTokens: number; overlapTokens?: number },
): Window[] {
  if (!(Number.isInteger(contextTokens) && contextTokens > 0))
    throw new ConfigError("contextTokens", `must be a whole number above 0 (got ${contextTokens}).`);
  if (!(Number.isInteger(overlapTokens) && overlapTokens >= 0 && overlapTokens < contextTokens))
    throw new ConfigError(
      "overlapTokens",
      `must be a whole number from 0 to ${contextTokens - 1}, below contextTokens (got ${overlapTokens}).`,
    );
  const windows: Window[] = [];
  for (let seen = 1; seen < count;) {
    const start = windows.length === 0 ? 0 : seen - 1 - overlapTokens;
    const length = Math.min(contextTokens + 1, count - start);
    windows.push({ start, length, asked: start + length - seen });
    seen = start + length;
  }
  return windows;
}

/** Windows as rows of one length, [windows, longest], filled up with `pad`. */
export function windowRows(
  tokens: Int32Array,
  windows: readonly Window[],
  pad: number,
): { time: number; ids: Int32Array } {
  const time = windows.reduce((longest, { length }) => Math.max(longest, length), 0);
  const ids = new Int32Array(windows.length * time).fill(pad);
  for (const [row, { start, length }] of windows.entries()) ids.set(tokens.subarray(start, start + length), row * time);
  return { time, ids };
}
