// Reads the Beacon API of a node on a local chain with @lodestar/api, the typed client of another project: what it asks for
// in JSON and in SSZ must be the same, have the roots that the chain has, and be what the duties say.
//
//   node api.js PATH-TO-WREN
//
// Starts the chain and stops it. Closes with "N passed, N failed, N skipped".

import assert from "node:assert/strict";
import {spawn} from "node:child_process";
import {mkdtemp, rm} from "node:fs/promises";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {createInterface} from "node:readline";
import {WireFormat, getClient} from "@lodestar/api";
import {chainConfigFromJson, createBeaconConfig} from "@lodestar/config";

const SLOT_SECONDS = 3;
const START_MS = 120_000;

const toHex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The value of an answer, which must be one. */
async function value(asked) {
  const answer = await asked;
  answer.assertOk();
  return answer.value();
}

/** The same asked for in both forms; the answer must come in the form asked for. */
async function both(ask) {
  const answers = [];
  for (const format of [WireFormat.json, WireFormat.ssz]) {
    const answer = await ask({responseWireFormat: format});
    answer.assertOk();
    assert.equal(answer.wireFormat(), format, "the form of the answer");
    answers.push(answer);
  }
  return answers;
}

/** Starts a local chain; gives its node's address and a way to stop it. */
async function startChain(wren) {
  const folder = await mkdtemp(join(tmpdir(), "wren-js-api-"));
  const options = ["devnet", "--clients", "1", "--slot-time", `${SLOT_SECONDS}`, "--dir", join(folder, "chain")];
  const chain = spawn(wren, options, {stdio: ["ignore", "pipe", "inherit"]});
  const ended = new Promise((resolve) => chain.once("exit", resolve));
  const stop = async () => {
    chain.kill("SIGINT");
    await ended;
    await rm(folder, {recursive: true, force: true});
  };
  const lines = createInterface({input: chain.stdout});
  const started = new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const found = /Beacon API on (http:\S+)/.exec(line);
      if (found) resolve(found[1]);
    });
    chain.once("exit", () => reject(new Error("the local chain has ended")));
    setTimeout(() => reject(new Error("the local chain did not start")), START_MS).unref();
  });
  try {
    return {url: await started, stop};
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A client that knows the chain's config, which it has from the node. */
async function connect(baseUrl) {
  const globalInit = {retries: 0, timeoutMs: 20_000};
  const plain = getClient({baseUrl, globalInit}, {config: createBeaconConfig({}, new Uint8Array(32))});
  const genesis = await value(plain.beacon.getGenesis());
  const spec = await value(plain.config.getSpec());
  const config = createBeaconConfig(chainConfigFromJson(spec), genesis.genesisValidatorsRoot);
  return {api: getClient({baseUrl, globalInit}, {config}), config, genesis};
}

async function waitForBlock(api, slot) {
  for (const end = Date.now() + START_MS; Date.now() < end; await sleep(200)) {
    const syncing = await value(api.node.getSyncingStatus());
    if (syncing.headSlot >= slot) return;
  }
  throw new Error(`no block at slot ${slot}`);
}

const checks = {
  async "genesis and fork schedule are those of the config"({api, config, genesis}) {
    assert.equal(toHex(genesis.genesisForkVersion), toHex(config.GENESIS_FORK_VERSION));
    const schedule = await value(api.config.getForkSchedule());
    assert.ok(schedule.length > 0);
    assert.equal(config.SLOT_DURATION_MS ?? config.SECONDS_PER_SLOT * 1000, SLOT_SECONDS * 1000);
  },

  async "a block is the same in JSON and SSZ, with the root that the chain has"({api, config, slot}) {
    const {root} = await value(api.beacon.getBlockRoot({blockId: slot}));
    const [json, ssz] = await both((init) => api.beacon.getBlockV2({blockId: slot}, init));
    assert.equal(json.meta().version, "fulu");
    assert.equal(ssz.meta().version, "fulu");
    const types = config.getForkTypes(slot);
    for (const answer of [json, ssz]) {
      assert.equal(toHex(types.BeaconBlock.hashTreeRoot(answer.value().message)), toHex(root));
    }
    assert.ok(types.SignedBeaconBlock.equals(json.value(), ssz.value()));
    const header = await value(api.beacon.getBlockHeader({blockId: slot}));
    assert.equal(toHex(types.BeaconBlockHeader.hashTreeRoot(header.header.message)), toHex(root));
    assert.equal(header.canonical, true);
  },

  async "a blinded block has the same root"({api, config, slot}) {
    const {root} = await value(api.beacon.getBlockRoot({blockId: slot}));
    const types = config.getPostBellatrixForkTypes(slot);
    for (const answer of await both((init) => api.beacon.getBlindedBlock({blockId: slot}, init))) {
      assert.equal(toHex(types.BlindedBeaconBlock.hashTreeRoot(answer.value().message)), toHex(root));
    }
  },

  async "a state is the same in JSON and SSZ, with the root in its block"({api, config, slot}) {
    const block = await value(api.beacon.getBlockV2({blockId: slot}));
    const wanted = toHex(block.message.stateRoot);
    const {root} = await value(api.beacon.getStateRoot({stateId: slot}));
    assert.equal(toHex(root), wanted);
    const {BeaconState} = config.getForkTypes(slot);
    const [json, ssz] = await both((init) => api.debug.getStateV2({stateId: wanted}, init));
    assert.equal(toHex(BeaconState.hashTreeRoot(json.value())), wanted);
    // The client gives states in SSZ as bytes.
    const bytes = ssz.ssz();
    assert.equal(toHex(BeaconState.hashTreeRoot(BeaconState.deserialize(bytes))), wanted);
  },

  async "validators and balances are those of the state"({api, config, slot}) {
    const bytes = (await api.debug.getStateV2({stateId: slot}, {responseWireFormat: WireFormat.ssz})).ssz();
    const state = config.getForkTypes(slot).BeaconState.deserialize(bytes);
    const all = await value(api.beacon.getStateValidators({stateId: slot}));
    assert.equal(all.length, state.validators.length);
    const posted = await value(api.beacon.postStateValidators({stateId: slot, validatorIds: [3, 5]}));
    assert.deepEqual(posted.map((one) => one.index), [3, 5]);
    for (const {index, balance, validator, status} of [...all, ...posted]) {
      assert.equal(balance, state.balances[index]);
      assert.equal(toHex(validator.pubkey), toHex(state.validators[index].pubkey));
      assert.equal(status, "active_ongoing");
    }
    const balances = await value(api.beacon.postStateValidatorBalances({stateId: slot, validatorIds: [7]}));
    assert.deepEqual(balances, [{index: 7, balance: state.balances[7]}]);
  },

  async "duties cover every validator once and every slot"({api, slot}) {
    const epoch = Math.floor(slot / 32);
    const indices = Array.from({length: 64}, (_, index) => index);
    const attesters = await api.validator.getAttesterDuties({epoch, indices});
    const seen = attesters.value().map((duty) => duty.validatorIndex);
    assert.deepEqual(seen.sort((a, b) => a - b), indices);
    assert.match(attesters.meta().dependentRoot, /^0x[0-9a-f]{64}$/);
    const proposers = await value(api.validator.getProposerDuties({epoch}));
    assert.deepEqual(proposers.map((duty) => duty.slot), Array.from({length: 32}, (_, at) => epoch * 32 + at));
    const block = await value(api.beacon.getBlockV2({blockId: slot}));
    const proposer = proposers.find((duty) => duty.slot === slot);
    assert.equal(proposer.validatorIndex, block.message.proposerIndex);
    const sync = await value(api.validator.getSyncCommitteeDuties({epoch, indices}));
    assert.equal(sync.reduce((seats, duty) => seats + duty.validatorSyncCommitteeIndices.length, 0), 512);
  },

  async "attestation data are the same in JSON and SSZ and vote for the chain"({api, config, slot}) {
    const args = {slot, committeeIndex: 0};
    const [json, ssz] = await both((init) => api.validator.produceAttestationData(args, init));
    const {AttestationData} = config.getForkTypes(slot);
    assert.ok(AttestationData.equals(json.value(), ssz.value()));
    const {root} = await value(api.beacon.getBlockRoot({blockId: slot}));
    assert.equal(toHex(json.value().beaconBlockRoot), toHex(root));
    assert.equal(json.value().target.epoch, Math.floor(slot / 32));
  },

  async "a block to be signed can be read in both forms"({api, config, wanted}) {
    const args = {
      slot: wanted,
      // The point at infinity: the reveal is not looked at.
      randaoReveal: Uint8Array.from([0xc0, ...new Uint8Array(95)]),
      graffiti: "read by another",
      skipRandaoVerification: true,
    };
    for (const answer of await both((init) => api.validator.produceBlockV3(args, init))) {
      const {version, executionPayloadBlinded, consensusBlockValue} = answer.meta();
      assert.equal(version, "fulu");
      assert.equal(executionPayloadBlinded, false);
      assert.ok(consensusBlockValue >= 0n);
      const contents = answer.value();
      assert.equal(contents.block.slot, wanted);
      config.getForkTypes(wanted).BeaconBlock.hashTreeRoot(contents.block);
    }
  },

  async "errors have a code and words"({api}) {
    const answer = await api.beacon.getBlockV2({blockId: 1_000_000});
    assert.equal(answer.ok, false);
    assert.equal(answer.status, 404);
    assert.match(answer.error().message, /no block at slot 1000000/);
  },
};

async function main() {
  const [wren] = process.argv.slice(2);
  if (!wren) throw new Error("usage: node api.js PATH-TO-WREN");
  const chain = await startChain(wren);
  let failed = 0;
  try {
    const found = await connect(chain.url);
    await waitForBlock(found.api, 3);
    for (const [name, check] of Object.entries(checks)) {
      const {headSlot} = await value(found.api.node.getSyncingStatus());
      try {
        await check({...found, slot: headSlot, wanted: headSlot + 1});
        console.log(`ok      ${name}`);
      } catch (error) {
        failed += 1;
        console.log(`FAILED  ${name}\n${error.stack}`);
      }
    }
  } finally {
    await chain.stop();
  }
  console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed, 0 skipped`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
