// Property tests draw the same cases every time, so that a change is judged by itself; HEDDLE_SEED draws others.
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.HEDDLE_SEED ?? 20_26) });
