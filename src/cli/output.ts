// Standard output of commands that write as they go.

/**
 * Writes text and waits where the reader is slower than we are. Rejects with EPIPE where the reader has gone, as `head`
 * does: then the command ends quietly instead of working for nobody.
 */
export function print(text: string, stream: NodeJS.WritableStream = process.stdout): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
