import { testCombinations } from "./matrix.ts";

testCombinations("pre");
