// Wren among discovery nodes of another make: two of them know nothing but Wren's record, read its newest one, and find each
// other through Wren. What they saw is printed as JSON; whoever started this judges it.
//
//   node find.mjs RECORD TCP-PORT

import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { Discv5 } from '@chainsafe/discv5'
import { ENR, SignableENR } from '@chainsafe/enr'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'

// Longer than anything here takes on a busy machine.
const PATIENCE = 60_000

const hex = (bytes) => bytes && '0x' + Buffer.from(bytes).toString('hex')

/** A UDP port of loopback that is free now. */
async function freePort () {
  const socket = createSocket('udp4')
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise((resolve) => socket.close(resolve))
  return port
}

/** A beacon node's record of the same chain as `wren`, and discovery with it. */
async function start (wren, tcp) {
  const privateKey = await generateKeyPair('secp256k1')
  const enr = SignableENR.createFromPrivateKey(privateKey)
  const port = await freePort()
  enr.ip = '127.0.0.1'
  enr.udp = port
  enr.tcp = tcp
  enr.set('eth2', wren.kvs.get('eth2'))
  enr.set('nfd', wren.kvs.get('nfd'))
  enr.set('attnets', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80))
  const discv5 = Discv5.create({
    enr,
    privateKey,
    bindAddrs: { ip4: multiaddr(`/ip4/127.0.0.1/udp/${port}`) },
    config: { enrUpdate: false }
  })
  await discv5.start()
  discv5.addEnr(wren)
  return discv5
}

async function until (what, condition) {
  const end = Date.now() + PATIENCE
  while (Date.now() < end) {
    const result = await condition()
    if (result) return result
    await sleep(200)
  }
  throw new Error(`waited in vain: ${what}`)
}

/** The fields of a record, as this stack reads them. */
function told (enr) {
  return {
    nodeId: enr.nodeId,
    peerId: enr.peerId.toString(),
    seq: enr.seq.toString(),
    ip: enr.ip,
    udp: enr.udp,
    tcp: enr.tcp,
    quic: enr.quic,
    eth2: hex(enr.kvs.get('eth2')),
    nfd: hex(enr.kvs.get('nfd')),
    attnets: hex(enr.kvs.get('attnets')),
    syncnets: hex(enr.kvs.get('syncnets')),
    cgc: hex(enr.kvs.get('cgc'))
  }
}

const [record, tcp] = process.argv.slice(2)
const given = ENR.decodeTxt(record)
const one = await start(given, Number(tcp))
const other = await start(given, Number(tcp))
try {
  const pong = await one.sendPing(given)
  const [newest] = await one.sendFindNode(given, [0])
  // The other is known to Wren once it has called.
  await other.sendPing(given)
  const found = await until('one finds the other through Wren', async () => {
    const all = await one.findRandomNode()
    return all.find((enr) => enr.nodeId === other.enr.nodeId) ?? one.getKadValue(other.enr.nodeId)
  })
  console.log(JSON.stringify({
    pong: { seq: pong.enrSeq.toString() },
    wren: told(newest),
    one: told(one.enr),
    other: told(found)
  }))
} finally {
  await one.stop()
  await other.stop()
}
process.exit(0)
