import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, expect, test } from "vitest";
import { crc32c } from "../../src/formats/crc32c.ts";
import { EventSchema, type Event } from "../../src/formats/generated/tensorboard_pb.ts";
import { TensorboardWriter } from "../../src/formats/index.node.ts";

const root = mkdtempSync(join(tmpdir(), "heddle-tensorboard-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Reads a file by the description of TFRecord, checking both checksums of every record. */
function events(path: string): Event[] {
  const file = readFileSync(path);
  const unmasked = (masked: number): number => {
    const rotated = (masked - 0xa282ead8) >>> 0;
    return ((rotated << 15) | (rotated >>> 17)) >>> 0;
  };
  const found: Event[] = [];
  for (let position = 0; position < file.length;) {
    const length = Number(file.readBigUInt64LE(position));
    expect(unmasked(file.readUInt32LE(position + 8))).toBe(crc32c(file.subarray(position, position + 8)));
    const message = file.subarray(position + 12, position + 12 + length);
    expect(unmasked(file.readUInt32LE(position + 12 + length))).toBe(crc32c(message));
    found.push(fromBinary(EventSchema, message));
    position += 16 + length;
  }
  return found;
}

test("each value is in the file as soon as it is written", () => {
  const folder = join(root, "new", "folder");
  using writer = new TensorboardWriter(folder);
  expect(events(writer.path).map(({ what }) => what)).toEqual([{ case: "fileVersion", value: "brain.Event:2" }]);
  writer.scalars(7, { loss: 0.5 });
  const [, event] = events(writer.path);
  expect(event!.step).toBe(7n);
  expect(event!.what).toMatchObject({
    case: "summary",
    value: { value: [{ tag: "loss", value: { case: "simpleValue", value: 0.5 } }] },
  });
  expect(Math.abs(event!.wallTime - Date.now() / 1000)).toBeLessThan(600);
});

test("a resumed run starts a file of its own, later in the order of names, that takes back the steps after its checkpoint", () => {
  const folder = join(root, "resumed");
  for (let run = 0; run < 12; run++)
    new TensorboardWriter(folder, run === 0 ? {} : { resumedAfterStep: 100 * run }).close();
  const names = readdirSync(folder).sort();
  expect(names.map((name) => Number(name.split(".").at(-1)))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  const last = events(join(folder, names[11]!));
  expect(last[1]).toMatchObject({ step: 1101n, what: { case: "sessionLog", value: { status: 1 } } });
});

test("a closed writer says so", () => {
  const writer = new TensorboardWriter(join(root, "closed"));
  writer.close();
  writer.close();
  expect(() => writer.scalars(1, { loss: 1 })).toThrow(`${writer.path} is closed`);
});
