// A corpus of plain text: documents that can be read from the start as often as needed, and know where they stood.

/** One document. `line` counts from 1 in `file`. */
export interface TextRecord {
  readonly text: string;
  /** What stood behind it in the file and is no part of it: a line's end. The end token stands for it. */
  readonly closedBy: "\n" | "";
  readonly file: string;
  readonly line: number;
}

/**
 * Documents, read anew at every iteration and never held whole.
 *
 * @example
 * const corpus = textsOf(["It was the best of times,", "it was the worst of times."]);
 * for await (const { text } of corpus) text.length;
 */
export class TextCorpus implements AsyncIterable<TextRecord> {
  /** What messages about the whole corpus call it. */
  readonly name: string;
  readonly #read: () => AsyncIterable<TextRecord>;

  /** `read` starts at the first document each time it is called. */
  constructor(name: string, read: () => AsyncIterable<TextRecord>) {
    this.name = name;
    this.#read = read;
  }

  [Symbol.asyncIterator](): AsyncIterator<TextRecord> {
    return this.#read()[Symbol.asyncIterator]();
  }

  /** The texts alone, as a tokenizer learns from them. */
  async *texts(): AsyncGenerator<string, void, undefined> {
    for await (const { text } of this) yield text;
  }
}

/**
 * A corpus of documents in memory; line n is the n-th of them.
 *
 * @example
 * textsOf(["one document", "another"], "two documents");
 */
export function textsOf(texts: readonly string[], name = "texts in memory"): TextCorpus {
  return new TextCorpus(name, async function* () {
    for (const [index, text] of texts.entries()) yield { text, closedBy: "", file: name, line: index + 1 };
  });
}
