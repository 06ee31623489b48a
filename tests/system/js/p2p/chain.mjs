// A local chain by the real programs: one node, one client with all keys.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until `what` gives something; long, since the machine may be busy. */
export async function until (sentence, what, seconds = 120) {
  const end = Date.now() + seconds * 1000
  let error
  while (Date.now() < end) {
    try {
      const value = await what()
      if (value) return value
    } catch (caught) { error = caught }
    await sleep(200)
  }
  throw new Error(`${sentence}: not within ${seconds} s${error ? `, last ${error}` : ''}`)
}

function freePort () {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

export class Chain {
  children = []

  constructor (program) {
    this.program = program
    this.folder = mkdtempSync(join(tmpdir(), 'wren-js-'))
    this.network = join(this.folder, 'network')
  }

  wren (...args) {
    return execFileSync(this.program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }

  run (name, ...args) {
    const log = openSync(join(this.folder, `${name}.log`), 'a')
    const child = spawn(this.program, args, { stdio: ['ignore', 'ignore', log] })
    this.children.push(child)
    return child
  }

  log (name) {
    return readFileSync(join(this.folder, `${name}.log`), 'utf8')
  }

  async start () {
    const delay = 12
    this.wren('genesis', '--output', this.network, '--validators', '32', '--keys', '1', '--slot-time', '2', '--delay', `${delay}`)
    // So that a validator may leave in its first epoch.
    const config = join(this.network, 'config.yaml')
    writeFileSync(config, readFileSync(config, 'utf8').replace(/^SHARD_COMMITTEE_PERIOD: .*$/m, 'SHARD_COMMITTEE_PERIOD: 0'))
    const keys = join(this.network, 'keys-0')
    const place = ['--network', this.network, '--datadir', join(this.folder, 'data')]
    this.wren('keys', 'import', keys, '--new-keys', '--password-file', join(keys, 'password.txt'), ...place)
    const [http, p2p, quic] = [await freePort(), await freePort(), await freePort()]
    this.api = `http://127.0.0.1:${http}`
    this.run('node', 'node', '--dev-engine', '--http-port', `${http}`, '--listen-address', '127.0.0.1', '--port', `${p2p}`,
      '--quic-port', `${quic}`, '--metrics-port', '0', ...place)
    await until('the node answers', () => this.get('/eth/v1/node/version'))
    this.run('client', 'validator', '--beacon-nodes', this.api, '--metrics-port', '0', '--keymanager-port', '0',
      '--suggested-fee-recipient', '0x8943545177806ED17B9F23F0a21ee5948eCaa776', ...place)
    this.identity = (await this.get('/eth/v1/node/identity')).data
  }

  async get (path) {
    const answer = await fetch(this.api + path, { headers: { Accept: 'application/json' } })
    if (!answer.ok) throw new Error(`${answer.status} ${path}: ${await answer.text()}`)
    return await answer.json()
  }

  async stop (keep) {
    for (const child of this.children.reverse()) {
      if (child.exitCode !== null) continue
      child.kill('SIGTERM')
      await Promise.race([new Promise((resolve) => child.once('exit', resolve)), sleep(20000)])
      child.kill('SIGKILL')
    }
    if (keep) console.log(`kept: ${this.folder}`)
    else rmSync(this.folder, { recursive: true, force: true })
  }
}
