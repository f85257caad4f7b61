import fc from "fast-check";
import { expect, test } from "vitest";
import { pairInput } from "../../src/data/index.ts";

const [cls, sep] = [1, 2];

// By hand, after the rule: the longer text loses its last token, of equal ones the second.
test.each([
  ["fits", [11, 12], [21], 6, [1, 11, 12, 2, 21, 2], [0, 0, 0, 0, 1, 1]],
  ["the first is longer", [11, 12, 13, 14], [21], 6, [1, 11, 12, 2, 21, 2], [0, 0, 0, 0, 1, 1]],
  ["the second is longer", [11], [21, 22, 23], 6, [1, 11, 2, 21, 22, 2], [0, 0, 0, 1, 1, 1]],
  ["equally long", [11, 12], [21, 22], 6, [1, 11, 12, 2, 21, 2], [0, 0, 0, 0, 1, 1]],
  ["no room for any", [11], [21], 3, [1, 2, 2], [0, 0, 1]],
  ["an empty second text", [11], [], 5, [1, 11, 2, 2], [0, 0, 0, 1]],
  ["one text", [11, 12, 13], undefined, 4, [1, 11, 12, 2], [0, 0, 0, 0]],
] as const)("%s", (_, a, b, maxTokens, ids, segmentIds) => {
  expect(pairInput(a, b, { cls, sep, maxTokens })).toEqual({ ids, segmentIds });
});

test("never longer than allowed, never shorter than need be, and both texts keep their beginnings", () => {
  const text = fc.array(fc.integer({ min: 10, max: 99 }), { maxLength: 20 });
  fc.assert(
    fc.property(text, text, fc.integer({ min: 3, max: 40 }), (a, b, maxTokens) => {
      const { ids, segmentIds } = pairInput(a, b, { cls, sep, maxTokens });
      expect(ids).toHaveLength(Math.min(maxTokens, a.length + b.length + 3));
      expect(segmentIds).toHaveLength(ids.length);
      const [front, back] = [ids.slice(1, segmentIds.indexOf(1) - 1), ids.slice(segmentIds.indexOf(1), -1)];
      expect(a.slice(0, front.length)).toEqual(front);
      expect(b.slice(0, back.length)).toEqual(back);
      // A text is cut only as far as the other's length.
      if (front.length < a.length) expect(front.length).toBeGreaterThanOrEqual(back.length);
      if (back.length < b.length) expect(back.length).toBeGreaterThanOrEqual(front.length - 1);
    }),
  );
});

test("a limit below the frame is refused", () => {
  expect(() => pairInput([11], [21], { cls, sep, maxTokens: 2 })).toThrow(/maxTokens: 3 tokens frame the text/);
});
