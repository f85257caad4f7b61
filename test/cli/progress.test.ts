import { describe, expect, test } from "vitest";
import { ProgressLine } from "../../src/cli/progress.ts";

function screen({ isTTY, columns = 80 }: { isTTY: boolean; columns?: number }) {
  let text = "";
  const clock = { ms: 0 };
  const stream = { isTTY, columns, write: (part: string | Uint8Array) => ((text += String(part)), true) };
  const progress = new ProgressLine({ stream, now: () => clock.ms });
  const step = (ms: number, done: number, figures: Record<string, number> = {}): void => {
    clock.ms = ms;
    progress.listener({ type: "progress", task: "training", done, total: 100, figures });
  };
  // Colour is not what these tests are about.
  return { progress, step, text: () => text.replace(/\x1b\[\d+m/g, "") };
}

describe("in a log file", () => {
  test("a line comes at the start, every ten seconds and at the end, and no control character", () => {
    const { step, text } = screen({ isTTY: false });
    for (let done = 0; done <= 100; done++) step(done * 300, done, { loss: 4 - done / 50 });
    expect(text()).toBe(
      "training  0/100  loss 4\n" +
        "training  34/100  loss 3.320  0:20 left\n" +
        "training  68/100  loss 2.640  0:10 left\n" +
        "training  100/100  loss 2  in 0:30\n",
    );
  });

  test("the time left of a resumed run counts from where it resumed", () => {
    const { step, text } = screen({ isTTY: false });
    step(0, 50);
    step(10_000, 60);
    expect(text().split("\n")[1]).toBe("training  60/100  0:40 left");
  });

  test("a validation between two steps takes its time from the training, and begins anew each time", () => {
    const { progress, step, text } = screen({ isTTY: false });
    const validate = (): void => progress.listener({ type: "progress", task: "validating", done: 0, total: 10 });
    step(0, 0);
    step(20_000, 50);
    validate();
    step(30_000, 60);
    validate();
    step(50_000, 100);
    expect(text().split("\n")).toEqual([
      "training  0/100",
      "training  50/100  0:20 left",
      "validating  0/10",
      "training  60/100  0:20 left",
      "validating  0/10",
      "training  100/100  in 0:50",
      "",
    ]);
  });

  test("names become words and large figures are shortened", () => {
    const { step, text } = screen({ isTTY: false });
    step(0, 0, { tokensPerSecond: 10_734.2, learningRate: 0.00051, BLEU: 41.02 });
    expect(text()).toBe("training  0/100  tokens/s 10.7k  learning rate 5.10e-4  BLEU 41.02\n");
  });
});

describe("on a terminal", () => {
  test("the line is redrawn in place at most ten times a second, and stays when the task ends", () => {
    const { step, text } = screen({ isTTY: true });
    step(0, 0);
    step(50, 1);
    step(120, 25);
    step(130, 100);
    expect(text().split("\r")).toEqual([
      "",
      `training  ${"─".repeat(20)}  0/100\x1b[K`,
      `training  ${"━".repeat(5)}${"─".repeat(15)}  25/100  0:00 left\x1b[K`,
      `training  ${"━".repeat(20)}  100/100  in 0:00\x1b[K\n`,
    ]);
  });

  test("no line is wider than the terminal", () => {
    const { step, text } = screen({ isTTY: true, columns: 24 });
    step(0, 50, { loss: 3.25 });
    expect(text()).toBe(`\rtraining  ${"━".repeat(10)}${"─".repeat(3)}\x1b[K`);
  });

  test("a message goes above the line, and end() frees the next row once", () => {
    const { progress, step, text } = screen({ isTTY: true });
    step(0, 50);
    progress.listener({ type: "log", level: "warning", message: "3 pairs were too long" });
    progress.end();
    progress.end();
    const line = `\rtraining  ${"━".repeat(10)}${"─".repeat(10)}  50/100\x1b[K`;
    expect(text()).toBe(`${line}\r\x1b[Kwarning: 3 pairs were too long\n${line}\n`);
  });
});
