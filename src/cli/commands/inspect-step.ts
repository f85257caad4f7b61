// heddle inspect --source: what a decoder layer asks the encoder at one step, fed with the target and with its own output.
import { ConfigError } from "../../base/index.ts";
import { openTranslation, type InspectedStep, type InspectedTensor, type Inspection } from "../../tasks/index.node.ts";
import { ProgressLine } from "../progress.ts";
import { table } from "../table.ts";

export interface InspectStepFlags {
  model: string;
  checkpoint?: string;
  source?: string;
  target?: string;
  step?: number;
  layer?: number;
  head?: number;
  json?: boolean;
}

/** Prints one step of one layer. */
export async function inspectStep(flags: InspectStepFlags & { source: string }): Promise<void> {
  const { model, checkpoint, source, target, step, layer, head, json } = flags;
  const { listener } = new ProgressLine();
  await using translation = await openTranslation(model, { ...(checkpoint !== undefined && { checkpoint }), listener });
  const inspection = await translation.inspect(source, {
    ...(target !== undefined && { target }),
    ...(step !== undefined && { step }),
    ...(layer !== undefined && { layer }),
  });
  const { query } = (inspection.freeRunning ?? inspection.teacherForced)!;
  const heads = query.shape[0]!;
  if (head !== undefined && head >= heads) throw new ConfigError("--head", `must be below ${heads} (got ${head}).`);
  process.stdout.write(json === true ? `${JSON.stringify(inspection, plainNumbers)}\n` : shown(inspection, head));
}

/** JSON has arrays of numbers, and no typed ones. */
function plainNumbers(_: string, value: unknown): unknown {
  return value instanceof Float32Array ? [...value] : value;
}

function shown({ sourceTokens, step, layer, layers, teacherForced, freeRunning }: Inspection, head?: number): string {
  const sides = Object.entries({ "teacher-forced": teacherForced, "free-running": freeRunning }).filter(
    (side): side is [string, InspectedStep] => side[1] !== undefined,
  );
  const rows = (what: string, of: (side: InspectedStep) => string): string[] => [
    what,
    ...sides.map(([, side]) => of(side)),
  ];
  const compared = table(
    [`step ${step}, layer ${layer} of ${layers}`, ...sides.map(([name]) => name)],
    [
      rows("read before", ({ fed }) => fed.slice(0, -1).join(" ") || "nothing"),
      rows("fed at this step", ({ fed }) => fed.at(-1)!),
      rows("likeliest next", ({ likeliest }) => likeliest),
      rows("taken as next", ({ next }) => next),
    ],
  );
  const figures = table(
    ["tensor", "where it comes from", "shape", "side", "‖·‖", "first values"],
    sides.flatMap(([name, { querySource, query, memory, key, value }]) =>
      Object.entries({ "source of q": querySource, q: query, "source of k, v": memory, k: key, v: value }).map(
        ([what, tensor]) => [
          what,
          tensor.name,
          `[${tensor.shape.join(", ")}]`,
          name,
          norm(tensor).toFixed(4),
          [...tensor.values.subarray(0, 4)].map((number) => number.toFixed(4)).join(" "),
        ],
      ),
    ),
  );
  const looked = sides.map(
    ([name, { weights }]) => `Where it looks, ${name}\n\n${weightsTable(weights, sourceTokens, head)}`,
  );
  return [compared, figures, ...looked].join("\n");
}

function norm({ values }: InspectedTensor): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/** A row for each head, and their mean: weights in per cent, the largest of a row marked. */
function weightsTable({ shape, values }: InspectedTensor, sourceTokens: readonly string[], head?: number): string {
  const [heads, width] = shape as readonly [number, number];
  const rowsOf = Array.from({ length: heads }, (_, i) => [...values.subarray(i * width, (i + 1) * width)]);
  const cells = (row: readonly number[]): string[] => {
    const most = row.indexOf(Math.max(...row));
    return row.map((weight, i) => `${(100 * weight).toFixed(1)}${i === most ? " ◄" : "  "}`);
  };
  const mean = sourceTokens.map((_, i) => rowsOf.reduce((sum, row) => sum + row[i]!, 0) / heads);
  const named = rowsOf.map((row, i): [string, readonly number[]] => [`head ${i}`, row]);
  const chosen = head === undefined ? [...named, ["mean", mean] as const] : [named[head]!];
  return table(
    ["%", ...sourceTokens],
    chosen.map(([name, row]) => [name, ...cells(row)]),
  );
}
