import { expect, test } from "vitest";
import { ConfigError } from "../../../src/base/index.ts";
import { CausalBlocksAttention } from "../../../src/nn/attention/causal-blocks.ts";
import { AttentionScope } from "../../../src/nn/attention/scope.ts";
import { input } from "../../../src/tensor/index.ts";
import { expectTwins } from "./masked-twin.ts";

// Falling, so that memory that a longer run has used lies under the empty groups of a shorter one.
const lengths = [40, 33, 17, 16, 9, 8, 7, 5, 3, 2, 1];

test.each([1, 3, 8, 11])(
  "%i groups are full causal attention, also where there are fewer queries than groups",
  (blocks) => expectTwins(new CausalBlocksAttention({ blocks }), lengths, { isCausal: true }),
);

test.each([
  ["in double precision", { isDouble: true }],
  ["without padding", { isPadded: false }],
  ["with keys from before the first query", { earlier: 6 }],
])("groups of queries are full causal attention %s", (_, options) =>
  expectTwins(new CausalBlocksAttention(), lengths, { isCausal: true, ...options }),
);

test("attention that hides nothing is refused, and so is a number of groups that is none", () => {
  const x = input("x", "float32", [1, 2, 5, 4]);
  const scope = new AttentionScope({ queryTime: 5 });
  expect(() => new CausalBlocksAttention().attend(x, x, x, scope)).toThrow(ConfigError);
  expect(() => new CausalBlocksAttention().attend(x, x, x, scope)).toThrow("Take full or tiled attention");
  expect(() => new CausalBlocksAttention({ blocks: 0 })).toThrow(
    "model.attention.blocks: a whole number of at least 1",
  );
});
