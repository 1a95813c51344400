// Walrus's own encoder, as its TypeScript SDK ships it (WebAssembly, run by Node), beside Haulout's, in one run.
//
//     cargo build --release --bin haulout
//     npm --prefix tests/benches/walrus ci && npm --prefix tests/benches/walrus run compare
//
// Promises: both do the same work on one thread of the same machine in the same minutes; times are of the processor, the
// medians of several runs; Walrus's slivers are decoded by Walrus, so the work is real. HAULOUT names another executable.
// Does not: compare bytes (the tests of `protocol` hold our slivers against vectors of this encoder).

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const { BlobEncoder } = createRequire(import.meta.url)('@mysten/walrus-wasm');
const haulout =
  process.env.HAULOUT ?? fileURLToPath(new URL('../../../target/release/haulout', import.meta.url));

// [shards, bytes, operations]. What Walrus's encoder refuses for its 16-bit symbols is not here.
const CASES = [
  [10, 2 ** 10, ['encode', 'identify', 'decode-repair']],
  [10, 2 ** 20, ['encode', 'identify', 'decode-repair']],
  [100, 2 ** 20, ['encode', 'identify', 'decode-repair']],
  [100, 2 ** 25, ['encode', 'identify', 'decode-repair']],
  [1000, 2 ** 10, ['encode', 'identify', 'decode-repair']],
  [1000, 2 ** 20, ['encode', 'identify', 'decode-repair']],
  [1000, 2 ** 25, ['encode', 'identify', 'decode-repair']],
];

/** Median processor seconds of `work`, of at least three runs and half a second. */
function measure(work) {
  work();
  const times = [];
  let total = 0;
  while (times.length < 3 || (total < 0.5 && times.length < 1000)) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1e6);
    total += times.at(-1);
  }
  return times.sort((a, b) => a - b)[times.length >> 1];
}

/** Bytes that do not repeat. */
function sample(bytes) {
  const data = new Uint8Array(bytes);
  let state = 0x9e3779b9;
  for (let i = 0; i < bytes; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return data;
}

/** Buffers for the slivers of one axis: length prefix, bytes, symbol size and index. */
function buffers(shards, sliverBytes) {
  let prefix = 1;
  for (let rest = sliverBytes; rest >= 128; rest >>= 7) prefix += 1;
  return Array.from({ length: shards }, () => new Uint8Array(prefix + sliverBytes + 4));
}

/** Walrus's encoder on one blob: a function for each operation. */
function walrus(shards, bytes) {
  const faults = Math.floor((shards - 1) / 3);
  const [rows, columns] = [shards - 2 * faults, shards - faults];
  const symbols = Math.ceil(bytes / (rows * columns));
  const symbol = symbols + (symbols % 2);
  const data = sample(bytes);
  const encoder = new BlobEncoder(shards);
  const primary = buffers(shards, columns * symbol);
  const secondary = buffers(shards, rows * symbol);
  encoder.encode(data, primary, secondary);
  const meta = encoder.compute_metadata(data);
  const blobId = meta.blob_id ?? meta[0];
  const decoded = new Uint8Array(bytes);
  const repair = primary.slice(shards - rows);
  encoder.decode(blobId, BigInt(bytes), repair, decoded);
  if (Buffer.compare(decoded, data) !== 0) throw new Error('Walrus decoded other bytes');
  return {
    encode: () => encoder.encode(data, primary, secondary),
    identify: () => encoder.compute_metadata(data),
    'decode-repair': () => encoder.decode(blobId, BigInt(bytes), repair, decoded),
  };
}

function ours(shards, bytes, operations) {
  const args = ['bench', 'encode', '--json', '--shards', shards, '--size', `${bytes}B`];
  const text = execFileSync(haulout, [...args, '--operation', operations.join(',')].map(String));
  return Object.fromEntries(JSON.parse(text).rows.map((row) => [row.operation, row.cpu_seconds]));
}

const milliseconds = (seconds) => `${(seconds * 1e3).toPrecision(4)} ms`;
const line = (...cells) => console.log(cells.map((cell, i) => String(cell).padStart(i ? 14 : 15)).join(''));
line('operation', 'shards', 'bytes', 'walrus wasm', 'haulout', 'times as fast');
for (const [shards, bytes, operations] of CASES) {
  const theirs = walrus(shards, bytes);
  const figures = ours(shards, bytes, operations);
  for (const operation of operations) {
    const seconds = measure(theirs[operation]);
    const ratio = (seconds / figures[operation]).toFixed(1);
    line(operation, shards, bytes, milliseconds(seconds), milliseconds(figures[operation]), ratio);
  }
}
