import { testCombinations } from "./matrix.ts";

testCombinations("post");
