import { expect, test } from "vitest";
import { jsonLine, table, type CaseResult } from "../../bench/report.ts";

const summary = { milliseconds: 300, fastest: 290, slowest: 320, clean: 4, turns: 5 };
const alone: CaseResult = {
  case: "tiny-8x32",
  tokensPerSecond: 853.333,
  ratioToFloor: 1.25,
  milliseconds: summary,
  floorMilliseconds: { ...summary, milliseconds: 240 },
  gigaOperations: 66.1,
  threads: 2,
};
const beside: CaseResult = {
  ...alone,
  ratioToPyTorch: 2.5,
  pytorchMilliseconds: { ...summary, milliseconds: 750, clean: 3 },
  pytorch: "1.13.0",
};

test("a JSON line has the case, the rate and the ratios", () => {
  expect(JSON.parse(jsonLine(beside))).toMatchObject({
    case: "tiny-8x32",
    tokensPerSecond: 853,
    ratioToPyTorch: 2.5,
    ratioToFloor: 1.25,
  });
  expect(jsonLine(beside)).not.toContain("\n");
});

test("without PyTorch its keys are absent", () => {
  expect(Object.keys(JSON.parse(jsonLine(alone)) as object)).not.toContain("ratioToPyTorch");
  expect(jsonLine(alone)).not.toMatch(/pytorch/i);
});

test("the table has a line a case, all equally long, and the clean turns of the worst side", () => {
  const lines = table([alone, beside]).split("\n");
  expect(lines).toHaveLength(3);
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  expect(lines[1]).toContain("–");
  expect(lines[2]).toMatch(/2\.50 .*3 of 5$/);
});
