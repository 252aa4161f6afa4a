// How fast simdutf validates, which Node.js brings along: GB/s of 64 KiB of each file named on the command line.
"use strict";

const { isUtf8 } = require("node:buffer");
const { readFileSync } = require("node:fs");

const ROUNDS = 61;
const CALLS = 50;

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function nanoseconds(data) {
  const began = process.hrtime.bigint();
  for (let call = 0; call < CALLS; call++) {
    if (!isUtf8(data)) throw new Error("not UTF-8");
  }
  return Number(process.hrtime.bigint() - began) / CALLS;
}

console.log(`simdutf ${process.versions.simdutf} in Node.js ${process.version}, GB/s, 64 KiB`);
for (const path of process.argv.slice(2)) {
  const whole = readFileSync(path);
  let size = 65536;
  while ((whole[size] & 0xc0) === 0x80) size--;
  const data = whole.subarray(0, size);
  const times = Array.from({ length: ROUNDS }, () => nanoseconds(data));
  console.log(`  ${path} ${(size / median(times)).toFixed(1)}`);
}
