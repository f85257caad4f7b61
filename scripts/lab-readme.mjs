// Runs labs in full and writes what came out into lab/README.md and lab/figures/: all of them, or those named.
//   npm run build && node scripts/lab-readme.mjs [NAME...]
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { labs, svgFile } from "../dist/lab/index.js";
import { section, summaryRow, withSection } from "./lab-sections.mjs";

const page = "lab/README.md";
const named = process.argv.slice(2);
const unknown = named.find((name) => !labs.some((lab) => lab.name === name));
if (unknown !== undefined) throw new Error(`there is no lab "${unknown}"`);

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
for (const lab of labs.filter(({ name }) => named.length === 0 || named.includes(name))) {
  const before = process.cpuUsage();
  const startMs = performance.now();
  const result = await lab.run({ seed: 1, isQuick: false, signal: stop.signal, listener: () => {} });
  const { user, system } = process.cpuUsage(before);
  const run = {
    name: lab.name,
    claim: lab.claim,
    source: lab.source,
    ...result,
    processorSeconds: (user + system) / 1e6,
    seconds: (performance.now() - startMs) / 1000,
  };
  mkdirSync("lab/figures", { recursive: true });
  writeFileSync(`lab/figures/${lab.name}.svg`, svgFile(result.plot, `${lab.name}: ${lab.claim}`));
  writeFileSync(
    page,
    withSection(readFileSync(page, "utf8"), { name: lab.name, text: section(run), row: summaryRow(run) }),
  );
  console.log(`${lab.name}: ${result.verdict.held} (${run.seconds.toFixed(0)} s)`);
}
