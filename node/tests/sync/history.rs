//! Chains that peers have: real blocks with payloads of the dev engine, and columns where there are blobs.

use crate::chain::{Chain, secret, sign_block};
use consensus::das::compute_cells_with_proofs;
use consensus::keys::Keys;
use consensus::ssz::{Bytes, Ssz};
use consensus::types::{BeaconBlock, DataColumnSidecar, Root, SignedBeaconBlock, Slot};
use consensus::{Config, Fork, State};
use node::execution::dev::{DevEngine, DevOptions};
use node::execution::{Engine, ForkchoiceState};
use node::genesis::{DevnetOptions, GenesisValidator, devnet_config, genesis_state};
use node::production::{PayloadChoice, Sidecars, column_sidecars, payload_attributes, produce_block};
use node::run::{Parts, Running, start};
use node::start::Anchor;
use node::stop::Stop;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use storage::{Identity, Storage};

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("wren-sync-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left over where the database is still closing; the system clears it away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A chain from genesis, a block in every slot but some.
pub(crate) struct History {
    pub(crate) config: Arc<Config>,
    pub(crate) genesis: State,
    pub(crate) blocks: Vec<(Root, Arc<SignedBeaconBlock>)>,
    pub(crate) columns: HashMap<Root, Vec<Arc<DataColumnSidecar>>>,
    /// The state after the block of the slot asked for.
    pub(crate) anchor: Option<Anchor>,
}

/// Slots in which nobody proposes: a hole of four, and now and then one.
fn is_empty(slot: Slot) -> bool {
    (60..64).contains(&slot) || slot.is_multiple_of(23)
}

impl History {
    /// A chain of so many slots, whose last was two slots and a half ago.
    pub(crate) fn new(slots: u64, slot_ms: u64, blobs: u64, anchor: Option<Slot>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let genesis_time = now - (slots * 2 + 5) * slot_ms / 2000;
        let options = DevnetOptions {
            genesis_fork: Fork::Fulu,
            schedule: Vec::new(),
            slot_duration_ms: slot_ms,
            genesis_time,
            blob_schedule: Vec::new(),
        };
        let config = devnet_config(Config::standard(), &options).unwrap();
        let validator = |index| GenesisValidator {
            pubkey: Bytes(secret(index).public_key().to_compressed()),
            withdrawal_credentials: Bytes([1; 32]),
        };
        let validators: Vec<GenesisValidator> = (0..64).map(validator).collect();
        let genesis = genesis_state(&config, genesis_time, &validators).unwrap();
        let mut state = genesis.clone();
        state.prepare();
        let options = DevOptions {
            blobs_per_block: blobs,
            hide_blobs: false,
        };
        let root = genesis.genesis_validators_root;
        let engine = DevEngine::new(&config, genesis_time, &root, options).unwrap();
        let mut chain = Chain::from_genesis(config.clone(), state);
        let mut history = History {
            config: Arc::new(config),
            genesis,
            blocks: Vec::new(),
            columns: HashMap::new(),
            anchor: None,
        };
        for slot in (1..=slots).filter(|slot| !is_empty(*slot)) {
            history.extend(&mut chain, &engine, slot);
            if anchor == Some(slot) {
                let mut state = chain.state.clone();
                state.prepare();
                let (root, block) = history.blocks.last().unwrap();
                history.anchor = Some(Anchor {
                    state: Arc::new(state),
                    block: block.message.clone(),
                    root: *root,
                });
            }
        }
        history
    }

    fn extend(&mut self, chain: &mut Chain, engine: &DevEngine, slot: Slot) {
        let state = chain.advanced(slot);
        let attributes = payload_attributes(&state, &chain.config, slot, Bytes([5; 20])).unwrap();
        let forkchoice = ForkchoiceState {
            head_block_hash: state.latest_execution_payload_header.block_hash,
            ..ForkchoiceState::default()
        };
        let (_, id) = engine
            .forkchoice_updated(state.at, &forkchoice, Some(&attributes))
            .unwrap();
        let built = engine.get_payload(state.at, id.unwrap()).unwrap();
        let produced = produce_block(chain.proposal(&state, PayloadChoice::Built(Box::new(built)))).unwrap();
        let signed = sign_block(&produced);
        let request = consensus::transition::NewPayloadRequest::of_block(state.at, &signed.message).unwrap();
        engine.new_payload(&request).unwrap();
        chain.state = State::clone(&produced.post_state);
        if !produced.blobs.is_empty() {
            let rows = compute_cells_with_proofs(&produced.blobs, &produced.kzg_proofs).unwrap();
            let Sidecars::Columns(columns) = column_sidecars(Fork::Fulu, &signed, &rows).unwrap() else {
                panic!("there are blobs");
            };
            let columns = columns.into_iter().map(Arc::new).collect();
            self.columns.insert(produced.root(), columns);
        }
        self.blocks.push((produced.root(), Arc::new(signed)));
    }

    pub(crate) fn head(&self) -> (Root, Slot) {
        let (root, block) = self.blocks.last().unwrap();
        (*root, block.message.slot)
    }

    pub(crate) fn genesis_anchor(&self) -> Anchor {
        Anchor::genesis(self.genesis.clone()).unwrap()
    }

    pub(crate) fn storage(&self, folder: &Folder) -> Storage {
        let identity = Identity::of(self.genesis.genesis_validators_root);
        Storage::open(&folder.path().join("db"), &identity, &crate::storage_options()).unwrap()
    }

    /// A node that starts at the anchor, whose execution client knows its payload and has no blobs.
    pub(crate) async fn node(&self, anchor: Anchor, storage: Storage) -> Running {
        let options = DevOptions {
            blobs_per_block: 0,
            hide_blobs: true,
        };
        self.node_with(anchor, storage, options).await
    }

    /// The same with another execution client.
    pub(crate) async fn node_with(&self, anchor: Anchor, storage: Storage, options: DevOptions) -> Running {
        let root = self.genesis.genesis_validators_root;
        let engine = DevEngine::new(&self.config, self.genesis.genesis_time, &root, options).unwrap();
        engine.trust(Fork::Fulu, &anchor.state.latest_execution_payload_header);
        let parts = Parts {
            config: Arc::clone(&self.config),
            keys: Keys::of(&anchor.state).unwrap(),
            anchor,
            storage,
            engine: Arc::new(Engine::Dev(Arc::new(engine))),
            fee_recipient: Bytes([0xfe; 20]),
            safe_slots: 128,
            builder: None,
        };
        start(parts, Stop::new()).await.unwrap()
    }
}

/// The block with a signature of somebody else: the root stays, the block is wrong.
pub(crate) fn forged(block: &SignedBeaconBlock) -> Arc<SignedBeaconBlock> {
    let mut block = block.clone();
    block.signature = Bytes(secret(7).sign(&[1; 32]).to_bytes());
    Arc::new(block)
}

/// A block of another chain in that slot.
pub(crate) fn of_other_chain(block: &SignedBeaconBlock) -> Arc<SignedBeaconBlock> {
    let mut block = block.clone();
    block.message = BeaconBlock {
        parent_root: Root::from([0xdd; 32]),
        ..block.message
    };
    Arc::new(block)
}

pub(crate) fn root_of(block: &SignedBeaconBlock) -> Root {
    block.message.hash_tree_root(Fork::Fulu)
}
