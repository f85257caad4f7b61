// Text out of tokens that come one by one: never half a character, never the beginning of what a stop string cuts off.
import { streamGreedy, streamSample, type Stepper } from "../decode/index.ts";
import type { Tokenizer } from "../text/index.ts";
import { continuationText } from "./decoding-outputs.ts";
import { searchOptionsOf, type DecodeBatchOptions, type SentenceToDecode } from "./decoding-search.ts";

const replacement = "\ufffd";

/**
 * What can be said of a text for certain while its tokens come: the pieces put together are the text of all tokens, up to the first stop
 * string. A character that is spelt with several tokens (bytes) waits until it is whole, and what could be the beginning of a
 * stop string until it is known not to be.
 *
 * @example
 * const stream = new TextStream(tokenizer);
 * const text = ids.map((id) => stream.push(id)).join("") + stream.end();
 */
export class TextStream {
  readonly #tokenizer: Tokenizer;
  readonly #stop: readonly string[];
  readonly #beginning: readonly number[];
  readonly #ids: number[] = [];
  #said = "";
  #isStopped = false;

  /** `beginning`: the tokens of what the text continues, if anything. */
  constructor(tokenizer: Tokenizer, stop: readonly string[] = [], beginning: readonly number[] = []) {
    this.#tokenizer = tokenizer;
    this.#stop = stop;
    this.#beginning = beginning;
  }

  /** Whether a stop string has come; nothing is said after it. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** What the token makes certain, often nothing. */
  push(id: number): string {
    this.#ids.push(id);
    // A run of bytes can change as a whole while it grows, and tokens without text do not end it.
    if (/^<0x[0-9A-Fa-f]{2}>$/.test(this.#tokenizer.tokenOf(id) ?? "") || this.#tokenizer.decode([id]) === "")
      return "";
    const text = this.#text();
    return text.endsWith(replacement) ? "" : this.#say(text, false);
  }

  /** What is left when no more tokens come. */
  end(): string {
    return this.#say(this.#text(), true);
  }

  #text(): string {
    return continuationText(this.#tokenizer, this.#beginning, this.#ids);
  }

  #say(text: string, isAll: boolean): string {
    if (this.#isStopped) return "";
    const places = this.#stop.map((string) => text.indexOf(string)).filter((place) => place >= 0);
    let until = text.length;
    if (places.length > 0) {
      this.#isStopped = true;
      until = Math.min(...places);
    } else if (!isAll) until -= Math.max(0, ...this.#stop.map((string) => overlap(text, string)));
    // A tokenizer may take back what it said of an unfinished text (a space before a comma); what is said stays said.
    if (until <= this.#said.length || !text.startsWith(this.#said)) return "";
    const piece = text.slice(this.#said.length, until);
    this.#said += piece;
    return piece;
  }
}

/** How many characters at the end of the text are the beginning of the string. */
function overlap(text: string, string: string): number {
  for (let length = Math.min(text.length, string.length - 1); length > 0; length--)
    if (text.endsWith(string.slice(0, length))) return length;
  return 0;
}

/** The text of one sentence, piece by piece while it is written: greedily, or drawn if the choices say so. */
export async function* writtenPieces(
  stepper: Stepper,
  sentence: SentenceToDecode,
  options: DecodeBatchOptions,
): AsyncGenerator<string> {
  const { choices, target } = options;
  const told = searchOptionsOf([sentence], options);
  const tokens =
    choices.search === "sample"
      ? streamSample(stepper, { ...told, seed: [sentence.seed] })
      : streamGreedy(stepper, told);
  const text = new TextStream(target, choices.stop, sentence.beginning);
  for await (const { token } of tokens) {
    const piece = text.push(token);
    if (piece !== "") yield piece;
  }
  const rest = text.end();
  if (rest !== "") yield rest;
}
