//! Drives a real execution client along a local chain, as a beacon node would, and says what works: builds on every
//! block, takes the payload, checks it, has it executed and makes it the head, for some slots of each fork in turn.
//!
//!     wren genesis --output net --fork capella --fork-at deneb=1 --fork-at electra=2 --slot-time 2
//!     (start the execution client on net/genesis.json with a secret in net/jwt.hex)
//!     cargo run -p node --example execution_client -- net http://127.0.0.1:8551 net/jwt.hex
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail, ensure};
use consensus::constants::FAR_FUTURE_EPOCH;
use consensus::helpers::misc::kzg_commitment_to_versioned_hash;
use consensus::preset::SLOTS_PER_EPOCH;
use consensus::ssz::Bytes;
use consensus::transition::NewPayloadRequest;
use consensus::types::{Hash32, Slot, Withdrawal};
use consensus::{Config, Fork};
use node::execution::dev::genesis_block;
use node::execution::{BlockHeader, ClientVersion, Engine, ForkchoiceState, PayloadAttributes, Status, check_payload};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Slots that are built at the beginning of each fork.
const SLOTS: u64 = 6;

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, url, jwt] = arguments.as_slice() else {
        bail!("give the network's folder, the client's address and the file of the secret");
    };
    let config = std::fs::read_to_string(Path::new(folder).join("config.yaml"))?;
    let config = Config::from_yaml(&config)?.config;
    let engine = Engine::http(std::slice::from_ref(url), Some(Path::new(jwt)), now)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(drive(&engine, &config))
}

async fn drive(engine: &Engine, config: &Config) -> Result<()> {
    let ours = ClientVersion {
        code: "WR".into(),
        name: "wren".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: "00000000".into(),
    };
    match engine.client_version(&ours).await {
        Ok(versions) => println!("{versions:?}"),
        Err(error) => println!("client version: {error}"),
    }
    // `wren genesis` makes the time of genesis the least one.
    let mut head = genesis_block(config, config.min_genesis_time).hash();
    let mut finalized = head;
    for fork in Fork::ALL {
        let epoch = config.fork_epoch(fork);
        let next = fork.next().map_or(FAR_FUTURE_EPOCH, |next| config.fork_epoch(next));
        if epoch == FAR_FUTURE_EPOCH || epoch == next {
            continue;
        }
        println!("{fork}: missing methods: {:?}", engine.missing_methods(fork).await?);
        let first = epoch * SLOTS_PER_EPOCH + u64::from(epoch == 0);
        for slot in first..first + SLOTS {
            let state = ForkchoiceState {
                head_block_hash: head,
                safe_block_hash: finalized,
                finalized_block_hash: finalized,
            };
            let built = step(engine, config, fork, state, slot).await;
            finalized = head;
            head = built.with_context(|| format!("{fork}, slot {slot}"))?;
        }
        println!("{fork}: {SLOTS} blocks built, executed and followed");
        let unknown = ForkchoiceState {
            head_block_hash: Bytes([1; 32]),
            ..ForkchoiceState::default()
        };
        let (status, _) = engine.forkchoice_updated(fork, unknown, None).await?;
        println!("{fork}: an unknown head is {:?}", status.status);
    }
    Ok(())
}

/// The same payload with another state root, and the hash that then is right: only executing it shows that it is wrong.
async fn refuses_what_is_wrong(engine: &Engine, fork: Fork, request: &NewPayloadRequest<'_>) -> Result<()> {
    let mut payload = request.execution_payload.clone();
    payload.state_root.0[0] ^= 1;
    let mut wrong = request.clone();
    wrong.execution_payload = &payload;
    let hash = BlockHeader::of_request(&wrong).hash();
    let mut payload = payload.clone();
    payload.block_hash = hash;
    wrong.execution_payload = &payload;
    check_payload(&wrong)?;
    let status = engine.new_payload(fork, &wrong).await?;
    ensure!(status.status == Status::Invalid, "a wrong state root is {status:?}");
    let parent = status.latest_valid_hash == Some(payload.parent_hash);
    println!("  a wrong state root is invalid, after a valid parent: {parent}");
    Ok(())
}

/// One slot; returns the new block's hash.
async fn step(engine: &Engine, config: &Config, fork: Fork, state: ForkchoiceState, slot: Slot) -> Result<Hash32> {
    let withdrawal = Withdrawal {
        index: slot,
        validator_index: slot % 7,
        address: Bytes([9; 20]),
        amount: 1_000_000,
    };
    let attributes = PayloadAttributes {
        timestamp: config.min_genesis_time + slot * config.slot_duration_ms / 1000,
        prev_randao: Bytes([slot as u8; 32]),
        suggested_fee_recipient: Bytes([7; 20]),
        withdrawals: (fork >= Fork::Capella).then(|| vec![withdrawal]),
        parent_beacon_block_root: (fork >= Fork::Deneb).then_some(Bytes([slot as u8; 32])),
    };
    let (status, id) = engine.forkchoice_updated(fork, state, Some(attributes.clone())).await?;
    ensure!(status.status == Status::Valid, "the head is {status:?}");
    // An engine fills the block while one waits.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let built = engine.get_payload(fork, id.context("no payload is built")?).await?;
    let commitments = built.blobs.iter().flat_map(|blobs| &blobs.commitments);
    let request = NewPayloadRequest {
        fork,
        execution_payload: &built.payload,
        versioned_hashes: commitments.map(kzg_commitment_to_versioned_hash).collect(),
        parent_beacon_block_root: attributes.parent_beacon_block_root.unwrap_or_default(),
        execution_requests: (fork >= Fork::Electra).then_some(&built.execution_requests),
    };
    check_payload(&request)?;
    if slot % SLOTS_PER_EPOCH == 2 {
        refuses_what_is_wrong(engine, fork, &request).await?;
    }
    let status = engine.new_payload(fork, &request).await?;
    ensure!(status.status == Status::Valid, "its own payload is {status:?}");
    let hash = built.payload.block_hash;
    let head = ForkchoiceState {
        head_block_hash: hash,
        ..state
    };
    let (status, _) = engine.forkchoice_updated(fork, head, None).await?;
    ensure!(status.status == Status::Valid, "the new head is {status:?}");
    println!(
        "  slot {slot}: block {} {hash}, state {}",
        built.payload.block_number, built.payload.state_root
    );
    Ok(hash)
}
