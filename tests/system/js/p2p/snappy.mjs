// The frame format of snappy, as the request protocols use it (framing_format.txt of snappy), over raw blocks by snappyjs.

import { uncompress } from 'snappyjs'

const IDENTIFIER = Uint8Array.of(0xff, 6, 0, 0, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59)
const BLOCK = 65536

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let i = 0; i < 8; i++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1
  return n >>> 0
})

function maskedCrc32c (bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8)
  crc = (crc ^ 0xffffffff) >>> 0
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** Frames with uncompressed blocks: valid, and nothing here needs them smaller. */
export function frame (bytes) {
  const parts = [IDENTIFIER]
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK)
    const head = new DataView(new ArrayBuffer(8))
    const length = block.length + 4
    head.setUint8(0, 1)
    head.setUint8(1, length & 0xff)
    head.setUint8(2, (length >> 8) & 0xff)
    head.setUint8(3, length >> 16)
    head.setUint32(4, maskedCrc32c(block), true)
    parts.push(new Uint8Array(head.buffer), block)
  }
  return Buffer.concat(parts)
}

/** Reads frames from `reader` until `length` bytes are there. Throws on anything that the format does not have. */
export async function unframe (reader, length) {
  const parts = []
  let have = 0
  while (have < length) {
    const head = await reader.take(4)
    const size = head[1] | (head[2] << 8) | (head[3] << 16)
    const body = await reader.take(size)
    if (head[0] === 0xff) {
      if (Buffer.compare(body, IDENTIFIER.subarray(4)) !== 0) throw new Error('wrong stream identifier')
      continue
    }
    if (head[0] > 1) {
      if (head[0] < 0x80) throw new Error(`unknown frame ${head[0]}`)
      continue
    }
    const sum = new DataView(body.buffer, body.byteOffset).getUint32(0, true)
    const block = head[0] === 0 ? uncompress(body.subarray(4)) : body.subarray(4)
    if (maskedCrc32c(block) !== sum) throw new Error('a frame has a wrong checksum')
    parts.push(block)
    have += block.length
  }
  if (have !== length) throw new Error(`frames hold ${have} bytes, ${length} were announced`)
  return Buffer.concat(parts)
}
