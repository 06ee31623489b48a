// A peer on published packages alone: libp2p, gossipsub, SSZ and snappy that are not Wren's.

import { createHash } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { tcp } from '@libp2p/tcp'
import { ssz } from '@lodestar/types'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { compress, uncompress } from 'snappyjs'
import { frame, unframe } from './snappy.mjs'

const PREFIX = '/eth2/beacon_chain/req/'
// Spec: phase0/p2p-interface.md, MAX_PAYLOAD_SIZE.
const MAX_PAYLOAD_SIZE = 10485760

export const hex = (bytes) => '0x' + Buffer.from(bytes).toString('hex')
export const unhex = (text) => new Uint8Array(Buffer.from(text.slice(2), 'hex'))
const sha256 = (...parts) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** Spec: altair/p2p-interface.md, "The message-id computation", of a message that decompresses. */
export function messageId (topic, data) {
  const name = Buffer.from(topic)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(name.length))
  return new Uint8Array(sha256(Uint8Array.of(1, 0, 0, 0), length, name, data).subarray(0, 20))
}

function varint (n) {
  const out = []
  for (; n >= 128; n = Math.floor(n / 128)) out.push((n % 128) | 128)
  return Uint8Array.of(...out, n)
}

/** Bytes of a stream, as many at a time as are asked for. */
class Reader {
  constructor (stream) {
    const chunks = stream[Symbol.asyncIterator]()
    // Asked for at once: what comes before anybody listens is lost.
    let next = chunks.next()
    this.chunks = {
      next: async () => {
        const chunk = await next
        if (!chunk.done) next = chunks.next()
        return chunk
      }
    }
    this.buffer = Buffer.alloc(0)
  }

  /** Whether another byte comes. */
  async more () {
    while (this.buffer.length === 0) {
      const { value, done } = await this.chunks.next()
      if (done) return false
      this.buffer = Buffer.from(value.subarray())
    }
    return true
  }

  async take (count) {
    while (this.buffer.length < count) {
      const { value, done } = await this.chunks.next()
      if (done) throw new Error(`the stream ends ${count - this.buffer.length} bytes early`)
      this.buffer = Buffer.concat([this.buffer, value.subarray()])
    }
    const taken = this.buffer.subarray(0, count)
    this.buffer = this.buffer.subarray(count)
    return taken
  }

  /** A varint of at most four bytes, then framed snappy of as many bytes as it says. */
  async payload () {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const [byte] = await this.take(1)
      length += (byte & 127) * 2 ** shift
      if (byte < 128) break
      if (shift > 21) throw new Error('a length of too many bytes')
    }
    if (length > MAX_PAYLOAD_SIZE) throw new Error(`a payload of ${length} bytes`)
    return await unframe(this, length)
  }
}

const payload = (bytes) => Buffer.concat([varint(bytes.length), frame(bytes)])

/** Fails where something takes too long: a stream that is never closed, say. */
export async function within (ms, what, promise) {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what}: no answer within ${ms} ms`)), ms) })
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Which protocols have a fork digest before each part of an answer. */
const hasContext = (protocol) => !/^(status|goodbye|ping|metadata)\//.test(protocol)

export class Peer {
  /** Messages that came by gossip: `{ topic, data, id }`. */
  messages = []
  /** Requests that came: protocol and SSZ. */
  requests = []

  /** `status` and `metadata` are answers as SSZ, by the protocol's name and version. */
  static async start (answers) {
    const peer = new Peer()
    peer.answers = answers
    peer.node = await createLibp2p({
      privateKey: await generateKeyPair('secp256k1'),
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionGater: { denyDialMultiaddr: () => false },
      services: {
        identify: identify(),
        pubsub: gossipsub({
          globalSignaturePolicy: 'StrictNoSign',
          allowPublishToZeroTopicPeers: true,
          emitSelf: false,
          msgIdFn: (message) => messageId(message.topic, message.data),
          dataTransform: {
            inboundTransform: (_, data) => uncompress(data),
            outboundTransform: (_, data) => compress(data)
          }
        })
      }
    })
    peer.node.services.pubsub.addEventListener('gossipsub:message', ({ detail }) => {
      peer.messages.push({ topic: detail.msg.topic, data: detail.msg.data, id: detail.msgId })
    })
    for (const protocol of Object.keys(answers)) {
      await peer.node.handle(PREFIX + protocol + '/ssz_snappy', (stream) => {
        peer.answer(protocol, stream).catch((error) => stream.abort(error))
      })
    }
    return peer
  }

  async answer (protocol, stream) {
    const reader = new Reader(stream)
    const body = protocol.startsWith('metadata/') ? new Uint8Array() : await reader.payload()
    this.requests.push({ protocol, body })
    const answer = this.answers[protocol]
    if (answer) stream.send(Buffer.concat([Uint8Array.of(0), payload(answer(body))]))
    await stream.close()
  }

  async dial (address) {
    const connection = await this.node.dial(multiaddr(address))
    this.remote = connection.remotePeer
    return connection
  }

  isConnected () {
    return this.node.getConnections(this.remote).length > 0
  }

  /** Asks by a protocol such as `status/2`; the parts of the answer, each with result, context and SSZ. */
  async request (protocol, body) {
    return await within(20000, protocol, this.ask(protocol, body))
  }

  async ask (protocol, body) {
    const stream = await this.node.dialProtocol(this.remote, PREFIX + protocol + '/ssz_snappy', {
      signal: AbortSignal.timeout(20000)
    })
    const reader = new Reader(stream)
    if (body) stream.send(payload(body))
    await stream.close()
    const parts = []
    while (await reader.more()) {
      const [result] = await reader.take(1)
      const context = result === 0 && hasContext(protocol) ? hex(await reader.take(4)) : null
      parts.push({ result, context, ssz: await reader.payload() })
    }
    return parts
  }

  subscribe (topic) {
    this.node.services.pubsub.subscribe(topic)
  }

  async publish (topic, data) {
    return await this.node.services.pubsub.publish(topic, data)
  }

  async stop () {
    await this.node.stop()
  }
}

export { ssz }
