// Wren among peers of another make: a node and its client run as processes, and peers built on published packages shake
// hands with the node, ask it for blocks, hear its gossip, and publish right and wrong messages.
//
//   WREN_BIN=… LODESTAR_PRESET=mainnet|minimal node network.mjs

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { Chain, sleep, until } from './chain.mjs'
import { Peer, hex, messageId, ssz, unhex, within } from './peer.mjs'

const { fulu, electra, phase0 } = ssz
let passed = 0

function same (what, found, wanted) {
  if (found !== wanted) throw new Error(`${what}: ${found}, wanted ${wanted}`)
  passed += 1
  console.log(`ok: ${what}`)
}

/** Peers tell the node what it told them: they are on its chain. */
async function newPeer (state) {
  const metadata = fulu.Metadata.defaultValue()
  metadata.custodyGroupCount = 4
  return await Peer.start({
    'status/2': () => fulu.Status.serialize(state.status),
    'metadata/3': () => fulu.Metadata.serialize(metadata),
    'ping/1': () => phase0.Ping.serialize(0n),
    'goodbye/1': () => null
  })
}

/** What a peer says that has nothing but the genesis of this chain. */
async function genesisStatus (chain) {
  const genesis = (await chain.get('/eth/v1/beacon/headers/genesis')).data
  const { genesis_validators_root: root } = (await chain.get('/eth/v1/beacon/genesis')).data
  return { ...fulu.Status.defaultValue(), headRoot: unhex(genesis.root), forkDigest: forkDigest(chain, unhex(root)) }
}

/** Spec: fulu/beacon-chain.md, `compute_fork_digest`, of a chain that begins at Fulu and schedules no blob parameters. */
function forkDigest (chain, genesisValidatorsRoot) {
  const config = readFileSync(join(chain.network, 'config.yaml'), 'utf8')
  const value = (name) => config.match(new RegExp(`^${name}: '?([^'\n]*)`, 'm'))[1].trim()
  const digest = phase0.ForkData.hashTreeRoot({ currentVersion: unhex(value('FULU_FORK_VERSION')), genesisValidatorsRoot })
  const parameters = Buffer.alloc(16)
  parameters.writeBigUInt64LE(BigInt(value('ELECTRA_FORK_EPOCH')), 0)
  parameters.writeBigUInt64LE(BigInt(value('MAX_BLOBS_PER_BLOCK_ELECTRA')), 8)
  const mask = createHash('sha256').update(parameters).digest()
  return Uint8Array.from({ length: 4 }, (_, n) => digest[n] ^ mask[n])
}

async function shakeHands (chain, peer, state) {
  const address = chain.identity.p2p_addresses.find((address) => address.includes('/tcp/'))
  await peer.dial(address)
  const [part] = await peer.request('status/2', fulu.Status.serialize(state.status))
  same('status is answered', part.result, 0)
  return fulu.Status.deserialize(part.ssz)
}

async function handshake (chain, peer, state) {
  const status = await shakeHands(chain, peer, state)
  same('the fork digest', hex(status.forkDigest), hex(state.status.forkDigest))
  const [metadata] = await peer.request('metadata/3', null)
  const { seqNumber, custodyGroupCount } = fulu.Metadata.deserialize(metadata.ssz)
  same('metadata has a custody', custodyGroupCount >= 4, true)
  const [ping] = await peer.request('ping/1', phase0.Ping.serialize(0n))
  // Subnets may have changed in between.
  same('a ping is answered by the number of the metadata', phase0.Ping.deserialize(ping.ssz) >= seqNumber, true)
  same('the API lists the peer', (await until('it is listed', async () =>
    (await chain.get('/eth/v1/node/peers')).data.find((entry) => entry.peer_id === peer.node.peerId.toString()))).state, 'connected')
}

async function requests (chain, peer, state) {
  await until('blocks are there', async () => (await chain.get('/eth/v1/node/syncing')).data.head_slot >= 6)
  const range = phase0.BeaconBlocksByRangeRequest.serialize({ startSlot: 1, count: 5, step: 1 })
  const parts = await peer.request('beacon_blocks_by_range/2', range)
  same('blocks come by range', parts.length > 0 && parts.every(({ result }) => result === 0), true)
  const roots = []
  for (const part of parts) {
    same('the context is the fork digest', part.context, hex(state.status.forkDigest))
    const { message } = fulu.SignedBeaconBlock.deserialize(part.ssz)
    const root = fulu.BeaconBlock.hashTreeRoot(message)
    same(`the root of slot ${message.slot}`, hex(root), (await chain.get(`/eth/v1/beacon/blocks/${message.slot}/root`)).data.root)
    roots.push(root)
  }
  const asked = roots.slice(0, 2)
  const byRoot = await peer.request('beacon_blocks_by_root/2', Buffer.concat(asked))
  same('blocks come by root', byRoot.length, asked.length)
  same('the same blocks', byRoot.every(({ ssz }, n) => Buffer.compare(ssz, parts[n].ssz) === 0), true)
  const unknown = await peer.request('beacon_blocks_by_root/2', Buffer.alloc(32, 7))
  same('an unknown root is answered by nothing', unknown.length, 0)
  const columns = fulu.DataColumnSidecarsByRangeRequest.serialize({ startSlot: 1, count: 5, columns: [0, 1, 2, 3] })
  const sidecars = await peer.request('data_column_sidecars_by_range/1', columns)
  for (const part of sidecars) {
    const { signedBlockHeader, index } = fulu.DataColumnSidecar.deserialize(part.ssz)
    const root = hex(phase0.BeaconBlockHeader.hashTreeRoot(signedBlockHeader.message))
    same(`column ${index} is of a block`, roots.some((known) => hex(known) === root), true)
  }
  const [wrong] = await peer.request('beacon_blocks_by_range/2', phase0.BeaconBlocksByRangeRequest.serialize({ startSlot: 1, count: 0, step: 1 }))
  same('a range of nothing is an error', wrong?.result ?? 1, 1)
}

async function gossip (chain, peer, state) {
  const topic = (name) => `/eth2/${hex(state.status.forkDigest).slice(2)}/${name}/ssz_snappy`
  peer.subscribe(topic('beacon_block'))
  peer.subscribe(topic('beacon_aggregate_and_proof'))
  const block = await until('a block comes by gossip', () => peer.messages.find((message) => message.topic === topic('beacon_block')))
  const { message } = fulu.SignedBeaconBlock.deserialize(block.data)
  same('the block is that of the chain', hex(fulu.BeaconBlock.hashTreeRoot(message)),
    (await until('the API has it', () => chain.get(`/eth/v1/beacon/blocks/${message.slot}/root`))).data.root)
  const aggregate = await until('an aggregate comes by gossip', () => peer.messages.find((message) => message.topic === topic('beacon_aggregate_and_proof')))
  const { data } = electra.SignedAggregateAndProof.deserialize(aggregate.data).message.aggregate
  same('it votes for a block that the node has', (await chain.get(`/eth/v1/beacon/headers/${hex(data.beaconBlockRoot)}`)).data.canonical, true)
  return topic
}

/** One peer publishes, the other hears of it only if the node forwards it. */
async function forwarding (chain, publisher, listener, topic) {
  const name = topic('voluntary_exit')
  publisher.subscribe(name)
  listener.subscribe(name)
  const exits = []
  for (const index of [0, 1]) {
    const file = join(chain.folder, `exit-${index}.json`)
    const { pubkey } = (await chain.get(`/eth/v1/beacon/states/head/validators/${index}`)).data.validator
    chain.wren('exit', 'sign', '--network', chain.network, '--datadir', join(chain.folder, 'data'), '--validator', pubkey,
      '--index', `${index}`, '--epoch', '0', '--output', file)
    exits.push(phase0.SignedVoluntaryExit.fromJson(JSON.parse(readFileSync(file, 'utf8'))))
  }
  await sleep(3000)
  const wrong = { ...exits[0], message: { ...exits[0].message, validatorIndex: 5 } }
  await publisher.publish(name, phase0.SignedVoluntaryExit.serialize(wrong))
  const right = phase0.SignedVoluntaryExit.serialize(exits[1])
  await publisher.publish(name, right)
  const heard = await until('the right one is forwarded', () => listener.messages.find((message) => message.topic === name))
  same('and it alone', Buffer.compare(heard.data, right), 0)
  await sleep(2000)
  same('the wrong one is not', listener.messages.filter((message) => message.topic === name).length, 1)
}

async function otherChain (chain, state) {
  const other = { status: { ...state.status, forkDigest: Uint8Array.of(1, 2, 3, 4) } }
  const peer = await newPeer(other)
  await peer.dial(chain.identity.p2p_addresses.find((address) => address.includes('/tcp/')))
  await peer.request('status/2', fulu.Status.serialize(other.status)).catch(() => {})
  await until('a peer of another chain is cut off', () => !peer.isConnected())
  passed += 1
  await peer.stop()
}

const chain = new Chain(process.env.WREN_BIN)
let failed
const peers = []
try {
  await chain.start()
  const state = { status: await genesisStatus(chain) }
  const first = await newPeer(state)
  peers.push(first)
  await handshake(chain, first, state)
  await requests(chain, first, state)
  const topic = await gossip(chain, first, state)
  const second = await newPeer(state)
  peers.push(second)
  await shakeHands(chain, second, state)
  await forwarding(chain, first, second, topic)
  await otherChain(chain, state)
  same('the id of a message is the specification\'s', hex(messageId(topic('x'), Buffer.from('y'))).length, 42)
} catch (error) {
  failed = error
  console.log(error.stack)
  console.log(chain.log('node').split('\n').slice(-30).join('\n'))
}
for (const peer of peers) await within(10000, 'a peer stops', peer.stop()).catch((error) => console.log(error.message))
await chain.stop(failed && process.env.KEEP)
console.log(`${passed} passed, ${failed ? 1 : 0} failed, 0 skipped`)
process.exit(failed ? 1 : 0)
