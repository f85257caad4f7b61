/** The pieces of a file as one array. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(pieces));
}

/** The text in UTF-8. */
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
