import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DataError, type HeddleEvent } from "../../src/base/index.ts";
import { readLines } from "../../src/data/index.ts";
import { firstInvalidByte } from "../../src/data/lines.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

async function collect(chunks: Iterable<Uint8Array>, name?: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(chunks, name === undefined ? {} : { name })) lines.push(line);
  return lines;
}

/** The stream cut at these places. */
function cutAt(whole: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
  return places.slice(1).map((end, i) => whole.subarray(places[i], end));
}

describe("readLines", () => {
  it.each([
    ["", []],
    ["\n", [""]],
    ["a", ["a"]],
    ["a\n", ["a"]],
    ["a\nb", ["a", "b"]],
    ["a\n\nb\n", ["a", "", "b"]],
    ["a\r\nb\r\n", ["a", "b"]],
    ["a\rb\n", ["a\rb"]],
    ["a\r", ["a\r"]], // no LF after it, so no line end
    ["a\r\r\n", ["a\r"]],
    ["a\u2028b\u0085c\fd\u2029e\n", ["a\u2028b\u0085c\fd\u2029e"]],
    ["a\n\ufeffb\n", ["a", "\ufeffb"]],
  ])("gives the lines of %j", async (text, lines) => {
    expect(await collect([utf8(text)])).toEqual(lines);
  });

  it("does not depend on where the stream is cut, even within a character or between CR and LF", async () => {
    const line = fc
      .array(fc.constantFrom("a", "\r", "é", "漢", "😀", "\u2028", ""), { maxLength: 5 })
      .map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(
        fc.array(line),
        fc.array(fc.nat(200), { maxLength: 20 }),
        fc.constantFrom("\n", "\r\n"),
        async (lines, cuts, end) => {
          const whole = utf8(lines.map((each) => each + end).join(""));
          const expected = lines.map((each) => (end === "\n" && each.endsWith("\r") ? each.slice(0, -1) : each));
          expect(await collect(cutAt(whole, cuts))).toEqual(expected);
        },
      ),
    );
  });

  it("may be handed the same buffer again and again", async () => {
    const buffer = new Uint8Array(2);
    function* reuse(): Generator<Uint8Array> {
      for (const two of ["ab", "cd", "\ne"]) {
        buffer.set(utf8(two));
        yield buffer;
      }
    }
    expect(await collect(reuse())).toEqual(["abcd", "e"]);
  });

  it("drops a byte order mark at the start and warns once", async () => {
    const heard: HeddleEvent[] = [];
    const lines: string[] = [];
    const stream = [bytes(0xef), bytes(0xbb, 0xbf), utf8("a\nb\n")];
    for await (const line of readLines(stream, { name: "x.txt", listener: (event) => heard.push(event) }))
      lines.push(line);
    expect(lines).toEqual(["a", "b"]);
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatchObject({
      level: "warning",
      message: expect.stringContaining("x.txt: dropped the byte order mark"),
    });
  });

  it.each([
    ["Latin-1", [utf8("one\ntwo\ncaf"), bytes(0xe9, 0x0a)], 3, "0xe9 at byte offset 3 of the line, 11 of the text"],
    [
      "a character cut off by the end",
      [utf8("ab"), bytes(0xe6, 0xbc)],
      1,
      "0xe6 at byte offset 2 of the line, 2 of the text",
    ],
    [
      "a character cut off by the line's end",
      [utf8("漢"), bytes(0xe6, 0xbc, 0x0a)],
      1,
      "0xe6 at byte offset 3 of the line, 3 of the text",
    ],
    [
      "an overlong form",
      [utf8("a\r\n"), bytes(0xc0, 0xaf, 0x0a)],
      2,
      "0xc0 at byte offset 0 of the line, 3 of the text",
    ],
    ["half a surrogate pair", [bytes(0xed, 0xa0, 0x80)], 1, "0xed at byte offset 0 of the line, 0 of the text"],
    ["UTF-16", [bytes(0xff, 0xfe, 0x61, 0x00)], 1, "UTF-16"],
    ["gzip under a plain name", [bytes(0x1f, 0x8b, 0x08)], 1, "gzip"],
  ])("names line and byte of %s", async (_, chunks, line, text) => {
    const error: unknown = await collect(chunks, "x.txt").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(DataError);
    expect(error).toMatchObject({ file: "x.txt", line, message: expect.stringContaining(text) });
  });

  it("gives all lines before a broken one that came in an earlier chunk", async () => {
    const lines: string[] = [];
    const reading = (async () => {
      for await (const line of readLines([utf8("a\nb\n"), bytes(0xff, 0x0a)])) lines.push(line);
    })();
    await expect(reading).rejects.toThrow("standard input, line 3: not UTF-8");
    expect(lines).toEqual(["a", "b"]);
  });

  it("refuses a line over 16 MiB before it has read much more", async () => {
    let chunksRead = 0;
    function* endless(): Generator<Uint8Array> {
      yield utf8("a\n");
      for (;;) {
        chunksRead++;
        yield new Uint8Array(2 ** 20).fill(0x61);
      }
    }
    await expect(collect(endless(), "x.txt")).rejects.toThrow("x.txt, line 2: longer than 16777216 bytes");
    expect(chunksRead).toBe(17);
  });

  it("calls the same bytes invalid as the platform's decoder does", () => {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const decodes = (input: Uint8Array): boolean => {
      try {
        decoder.decode(input);
        return true;
      } catch {
        return false;
      }
    };
    const telling = fc.constantFrom(
      0x61,
      0x7f,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xe1,
      0xed,
      0xef,
      0xf0,
      0xf1,
      0xf4,
      0xf5,
    );
    fc.assert(
      fc.property(fc.array(telling, { maxLength: 8 }), (values) => {
        const input = Uint8Array.from(values);
        const at = firstInvalidByte(input);
        expect(at < 0).toBe(decodes(input));
        if (at >= 0) expect(decodes(input.subarray(0, at))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("reads real text as splitting the whole of it does", async () => {
    const path = new URL("../../src/data/lines.ts", import.meta.url);
    const whole = await readFile(path);
    expect(await collect(cutAt(whole, [7, 1000, 1001, 2500]))).toEqual(whole.toString("utf8").split("\n").slice(0, -1));
  });
});
