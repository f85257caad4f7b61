import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { print } from "../../src/cli/output.ts";

test("print returns when the text was taken, and fails when the reader has gone", async () => {
  let taken = "";
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      taken += chunk.toString();
      done(taken === "ab" ? Object.assign(new Error("write EPIPE"), { code: "EPIPE" }) : undefined);
    },
  });
  stream.on("error", () => {});
  await print("a", stream);
  expect(taken).toBe("a");
  await expect(print("b", stream)).rejects.toThrow("EPIPE");
});
