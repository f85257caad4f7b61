// TensorBoard event files: a sequence of records, each a Protobuf message between checksums. Portable half: the records' bytes.
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { crc32c } from "./crc32c.ts";
import { EventSchema, SessionLog_SessionStatus as SessionStatus } from "./generated/tensorboard_pb.ts";

/** The record that opens a file. Times are seconds since 1970. */
export function tensorboardOpening(wallTimeSeconds: number): Uint8Array<ArrayBuffer> {
  return record({ wallTime: wallTimeSeconds, what: { case: "fileVersion", value: "brain.Event:2" } });
}

/** The record that says the run goes on from `step`: TensorBoard forgets what earlier files of the run said of this step and later ones. */
export function tensorboardResumption(wallTimeSeconds: number, step: number): Uint8Array<ArrayBuffer> {
  return record({
    wallTime: wallTimeSeconds,
    step: BigInt(step),
    what: { case: "sessionLog", value: { status: SessionStatus.START } },
  });
}

/**
 * A record of values at a step; a name such as "validation/bleu" is grouped under "validation".
 *
 * @example
 * const bytes = tensorboardScalars(1_700_000_000, 100, { loss: 3.2, "validation/bleu": 21.5 });
 */
export function tensorboardScalars(
  wallTimeSeconds: number,
  step: number,
  scalars: Readonly<Record<string, number>>,
): Uint8Array<ArrayBuffer> {
  // Stored as float32: what is beyond its range becomes infinite, which TensorBoard shows as such.
  const value = Object.entries(scalars).map(([tag, scalar]) => ({
    tag,
    value: { case: "simpleValue", value: Math.fround(scalar) } as const,
  }));
  return record({ wallTime: wallTimeSeconds, step: BigInt(step), what: { case: "summary", value: { value } } });
}

/** TFRecord: length (8 bytes), its checksum, the message, its checksum; all little-endian. */
function record(event: MessageInitShape<typeof EventSchema>): Uint8Array<ArrayBuffer> {
  const message = toBinary(EventSchema, create(EventSchema, event));
  const bytes = new Uint8Array(8 + 4 + message.byteLength + 4);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(message.byteLength), true);
  view.setUint32(8, maskedChecksum(bytes.subarray(0, 8)), true);
  bytes.set(message, 12);
  view.setUint32(12 + message.byteLength, maskedChecksum(message), true);
  return bytes;
}

/** Rotated and shifted, so that the checksum of data that holds checksums stays a good one. */
function maskedChecksum(bytes: Uint8Array): number {
  const checksum = crc32c(bytes);
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0;
}
