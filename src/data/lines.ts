// Bytes in, lines of text out, with bounded memory and the place of whatever is not UTF-8.
import { DataError, silent, type Listener } from "../base/index.ts";

/** Longest line we hold in memory. A file without line ends would otherwise be read whole. */
const maxLineBytes = 16 * 2 ** 20;
/** Bytes decoded at once; a larger chunk is cut, so that no string grows with the stream's own chunk size. */
const blockBytes = 2 ** 20;
const lineFeed = 0x0a;

export interface ReadLinesOptions {
  /** What to call the stream in messages, usually the file's path. */
  name?: string;
  /** Hears the warning about a dropped byte order mark. */
  listener?: Listener;
}

/**
 * The lines of a UTF-8 byte stream. A line ends at LF or CRLF and at nothing else (U+2028 and a lone CR are text); the last
 * line may lack its end. A byte order mark at the start is dropped with a warning; anywhere else it is text. Memory stays
 * within one chunk and one line, at most 16 MiB.
 *
 * Throws DataError with the line and the byte offset of what is not UTF-8, and for a line over 16 MiB.
 *
 * @example
 * const stream = [new TextEncoder().encode("one\r\ntwo")];
 * for await (const line of readLines(stream)) line; // "one", then "two"
 */
export async function* readLines(
  stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { name = "standard input", listener = silent }: ReadLinesOptions = {},
): AsyncGenerator<string, void, undefined> {
  const decoder = new BlockDecoder(name, listener);
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;

  for await (const chunk of stream) {
    for (let start = 0; start < chunk.length; start += blockBytes) {
      const piece = chunk.subarray(start, start + blockBytes);
      const end = piece.lastIndexOf(lineFeed);
      if (end >= 0) {
        // LF is never a part of a longer UTF-8 sequence, so a block cut here holds whole characters.
        yield* decoder.lines(concatenate([...pending, piece.subarray(0, end)]), { ended: true });
        pending = [];
        pendingBytes = 0;
      }
      const rest = piece.subarray(end + 1);
      if (rest.length > 0) pending.push(new Uint8Array(rest)); // a copy: the stream may use its buffer again
      pendingBytes += rest.length;
      if (pendingBytes > maxLineBytes) {
        const problem = `longer than ${maxLineBytes} bytes. Does the file use line ends other than LF and CRLF, or is it not text?`;
        throw new DataError(name, decoder.linesSeen + 1, problem);
      }
    }
  }
  if (pendingBytes > 0) yield* decoder.lines(concatenate(pending), { ended: false });
}

/** Decodes blocks of whole lines and keeps count of lines and bytes for messages. */
class BlockDecoder {
  linesSeen = 0;
  #bytesSeen = 0;
  readonly #name: string;
  readonly #listener: Listener;
  // ignoreBOM means "leave the mark in the text": otherwise every block would lose one, not only the first.
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(name: string, listener: Listener) {
    this.#name = name;
    this.#listener = listener;
  }

  /** `ended`: an LF followed the block, so a CR at its very end belongs to the line end. */
  lines(block: Uint8Array, { ended }: { ended: boolean }): string[] {
    let text = this.#decode(block);
    if (this.linesSeen === 0 && text.charCodeAt(0) === 0xfeff) {
      const message = `${this.#name}: dropped the byte order mark at the start. Save the file as UTF-8 without it to silence this.`;
      this.#listener({ type: "log", level: "warning", message });
      text = text.slice(1);
    }
    const lines = text.split("\n");
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!;
      if (line.endsWith("\r") && (ended || i + 1 < lines.length)) lines[i] = line.slice(0, -1);
    }
    this.linesSeen += lines.length;
    this.#bytesSeen += block.length + 1;
    return lines;
  }

  #decode(block: Uint8Array): string {
    try {
      return this.#utf8.decode(block);
    } catch (cause) {
      const at = firstInvalidByte(block);
      if (at < 0) throw cause;
      throw this.#invalid(block, at);
    }
  }

  #invalid(block: Uint8Array, at: number): DataError {
    let line = this.linesSeen + 1;
    let lineStart = 0;
    for (let next = block.indexOf(lineFeed); next >= 0 && next < at; next = block.indexOf(lineFeed, lineStart)) {
      line++;
      lineStart = next + 1;
    }
    const byte = `0x${block[at]!.toString(16).padStart(2, "0")}`;
    const place = `byte offset ${at - lineStart} of the line, ${this.#bytesSeen + at} of the text`;
    return new DataError(this.#name, line, `not UTF-8 (${byte} at ${place}). ${this.#remedy(block)}`);
  }

  #remedy(block: Uint8Array): string {
    if (this.linesSeen === 0) {
      const [first, second] = block;
      if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
        return "This looks like UTF-16: convert the file to UTF-8.";
      if (first === 0x1f && second === 0x8b) return "This looks like gzip: give the file a name that ends in .gz.";
    }
    return "Convert the file to UTF-8, or mend the line.";
  }
}

/**
 * Offset of the first byte that begins no well-formed UTF-8 sequence, or -1 (The Unicode Standard 15, section 3.9, table 3-7:
 * no overlong forms, no surrogates, nothing above U+10FFFF).
 */
export function firstInvalidByte(bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length;) {
    const lead = bytes[i]!;
    const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length === 0 || i + length > bytes.length) return i;
    for (let k = 1; k < length; k++) {
      const low = k > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
      const high = k > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
      const byte = bytes[i + k]!;
      if (byte < low || byte > high) return i;
    }
    i += length;
  }
  return -1;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
