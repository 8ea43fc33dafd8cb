import { MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from "#protocol/chunks";

const AVERAGE_BYTES = 1024 * 1024;
/** Before the average a cut needs more zero bits, afterwards fewer, so that most chunks are about that long. */
const RARE = 0xfffffc00;
const FREQUENT = 0xffffc000;

/**
 * One random word for each byte value. Cuts follow from them, and equal content is only found again by equal cuts: they
 * must never change.
 */
const GEAR = gear(0x4c6f6e67);

/**
 * How many of these bytes the next chunk takes: FastCDC's gear hash of the last 32 bytes decides, so that equal content is
 * cut alike wherever it stands. It needs `MAX_CHUNK_BYTES` to look at, or all that is left.
 */
export function cutLength(bytes: Uint8Array): number {
  const size = Math.min(bytes.length, MAX_CHUNK_BYTES);
  if (size <= MIN_CHUNK_BYTES) return size;
  const average = Math.min(size, AVERAGE_BYTES);
  let hash = 0;
  let at = MIN_CHUNK_BYTES - 32;
  for (; at < MIN_CHUNK_BYTES; at++) hash = (hash << 1) + (GEAR[bytes[at] as number] as number);
  for (; at < average; at++) {
    hash = ((hash << 1) + (GEAR[bytes[at] as number] as number)) | 0;
    if ((hash & RARE) === 0) return at + 1;
  }
  for (; at < size; at++) {
    hash = ((hash << 1) + (GEAR[bytes[at] as number] as number)) | 0;
    if ((hash & FREQUENT) === 0) return at + 1;
  }
  return size;
}

/** Words of the generator `splitmix32`. */
function gear(seed: number): Int32Array {
  let state = seed;
  return Int32Array.from({ length: 256 }, () => {
    state = (state + 0x9e3779b9) | 0;
    let word = state ^ (state >>> 16);
    word = Math.imul(word, 0x21f0aaad);
    word ^= word >>> 15;
    word = Math.imul(word, 0x735a2d97);
    return word ^ (word >>> 15);
  });
}
