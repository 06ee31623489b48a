//! The tree of blocks that a dev engine knows, and what it says about them.
//!
//! Nothing is executed, so headers are all that is needed to judge a child; of them a bounded number is kept. Bodies are
//! kept beside them for nodes that do not keep payloads themselves: those of a local chain are small.

use super::rules::{gas_limit_follows, next_base_fee, next_excess_blob_gas};
use super::schedule::{GAS_PER_BLOB, Schedule};
use crate::execution::header::{BlobGas, BlockHeader};
use crate::execution::transaction::BLOB_TX_TYPE;
use crate::execution::types::{ForkchoiceState, PayloadStatus, RpcError, Status, code};
use consensus::ssz::U256;
use consensus::types::{ExecutionPayload, Hash32};
use std::collections::HashMap;
use std::sync::Arc;

/// Headers kept, at most: 4096 of less than a kilobyte. A chain without finality of more slots than this loses its
/// oldest blocks, which no reorganisation of a local network reaches.
const MAX_HEADERS: usize = 4096;
/// Payloads kept whose parent is not known yet, at most: enough for blocks that arrive out of order.
const MAX_WAITING: usize = 64;
/// Ancestors looked at, at most: all there are.
const MAX_WALK: usize = MAX_HEADERS;

/// A block of the tree.
#[derive(Clone, Debug)]
struct Known {
    header: BlockHeader,
    /// Why it is invalid, if it is.
    invalid: Option<String>,
    /// The sum of difficulties up to it, for a block of proof of work.
    total_difficulty: Option<U256>,
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Chain {
    schedule: Schedule,
    blocks: HashMap<Hash32, Known>,
    /// Well-formed blocks without a known parent, oldest first.
    waiting: Vec<(Hash32, BlockHeader)>,
    /// Transactions and withdrawals of payloads that came.
    bodies: HashMap<Hash32, Arc<ExecutionPayload>>,
    head: Hash32,
    finalized: Hash32,
}

impl Chain {
    /// A chain of these first blocks, whose last is the head.
    pub(crate) fn new(schedule: Schedule, first: Vec<BlockHeader>) -> Self {
        let mut chain = Chain {
            schedule,
            blocks: HashMap::new(),
            waiting: Vec::new(),
            bodies: HashMap::new(),
            head: Hash32::ZERO,
            finalized: Hash32::ZERO,
        };
        let mut total_difficulty = U256::ZERO;
        for header in first {
            total_difficulty += header.difficulty;
            let of_work = !header.difficulty.is_zero();
            let known = Known {
                invalid: None,
                total_difficulty: of_work.then_some(total_difficulty),
                header,
            };
            chain.head = known.header.hash();
            chain.blocks.insert(chain.head, known);
        }
        chain
    }

    /// The head and its header.
    pub(crate) fn head(&self) -> Option<(Hash32, &BlockHeader)> {
        self.header(&self.head).map(|header| (self.head, header))
    }

    /// The header of a known block.
    pub(crate) fn header(&self, hash: &Hash32) -> Option<&BlockHeader> {
        self.blocks.get(hash).map(|known| &known.header)
    }

    /// The known ancestor of the head with that number.
    pub(crate) fn by_number(&self, number: u64) -> Option<(Hash32, &BlockHeader)> {
        let hash = self
            .ancestors(self.head)
            .find(|hash| self.header(hash).is_some_and(|header| header.number <= number))?;
        let header = self.header(&hash)?;
        (header.number == number).then_some((hash, header))
    }

    /// The sum of difficulties of a block of proof of work.
    pub(crate) fn total_difficulty(&self, hash: &Hash32) -> Option<U256> {
        self.blocks.get(hash)?.total_difficulty
    }

    /// Takes a block as valid whose parent need not be known: where a node starts.
    pub(crate) fn trust(&mut self, hash: Hash32, header: BlockHeader) {
        self.insert(hash, header, None);
        self.adopt(hash);
    }

    /// Transactions and withdrawals of a block, if its payload came.
    pub(crate) fn body(&self, hash: &Hash32) -> Option<Arc<ExecutionPayload>> {
        self.bodies.get(hash).map(Arc::clone)
    }

    fn keep_body(&mut self, payload: &ExecutionPayload) {
        if self.bodies.len() >= MAX_HEADERS {
            // Those of blocks that went, and of payloads whose parent never came.
            let blocks = &self.blocks;
            self.bodies.retain(|hash, _| blocks.contains_key(hash));
        }
        if self.bodies.len() < MAX_HEADERS {
            let body = ExecutionPayload {
                transactions: payload.transactions.clone(),
                withdrawals: payload.withdrawals.clone(),
                ..ExecutionPayload::default()
            };
            self.bodies.insert(payload.block_hash, Arc::new(body));
        }
    }

    /// Judges a payload whose own form was checked; `header` is its header.
    pub(crate) fn new_payload(&mut self, payload: &ExecutionPayload, header: BlockHeader) -> PayloadStatus {
        let hash = payload.block_hash;
        if self.blocks.contains_key(&hash) {
            return self.status(&hash);
        }
        if let Some(why) = not_executable(payload) {
            // Wrong in itself, whatever its parent is.
            let latest_valid = self
                .blocks
                .contains_key(&header.parent_hash)
                .then(|| self.latest_valid(header.parent_hash));
            return PayloadStatus::invalid(latest_valid.flatten(), why);
        }
        self.keep_body(payload);
        if !self.blocks.contains_key(&header.parent_hash) {
            self.wait(hash, header);
            return PayloadStatus::plain(Status::Syncing);
        }
        self.enter(hash, header);
        self.adopt(hash);
        self.status(&hash)
    }

    /// What is known about a block.
    fn status(&self, hash: &Hash32) -> PayloadStatus {
        match self.blocks.get(hash) {
            None => PayloadStatus::plain(Status::Syncing),
            Some(Known { invalid: None, .. }) => PayloadStatus::valid(*hash),
            Some(Known { invalid: Some(why), .. }) => PayloadStatus::invalid(self.latest_valid(*hash), why),
        }
    }

    /// Enters a block whose parent is known, valid or not.
    fn enter(&mut self, hash: Hash32, header: BlockHeader) {
        let invalid = self.why_invalid(&header);
        self.insert(hash, header, invalid);
    }

    fn insert(&mut self, hash: Hash32, header: BlockHeader, invalid: Option<String>) {
        if self.blocks.len() >= MAX_HEADERS {
            self.drop_oldest();
        }
        let known = Known {
            header,
            invalid,
            total_difficulty: None,
        };
        self.blocks.insert(hash, known);
    }

    /// Drops the older half.
    fn drop_oldest(&mut self) {
        let mut numbers: Vec<u64> = self.blocks.values().map(|known| known.header.number).collect();
        numbers.sort_unstable();
        let keep_from = numbers[numbers.len() / 2];
        let head = self.head;
        self.blocks
            .retain(|hash, known| known.header.number >= keep_from || *hash == head);
    }

    fn wait(&mut self, hash: Hash32, header: BlockHeader) {
        if self.waiting.iter().any(|(waiting, _)| *waiting == hash) {
            return;
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push((hash, header));
    }

    /// Enters everything that waited for a block, and what waited for that. Ends because each step takes one out.
    fn adopt(&mut self, parent: Hash32) {
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            while let Some(place) = self.waiting.iter().position(|(_, header)| header.parent_hash == parent) {
                let (hash, header) = self.waiting.remove(place);
                self.enter(hash, header);
                parents.push(hash);
            }
        }
    }

    /// Checks a header against its parent, which is known.
    fn why_invalid(&self, header: &BlockHeader) -> Option<String> {
        let Some(parent) = self.blocks.get(&header.parent_hash) else {
            return Some(format!("its parent {} is not known", header.parent_hash));
        };
        if let Some(why) = &parent.invalid {
            return Some(format!("its parent {} is invalid: {why}", header.parent_hash));
        }
        if parent.total_difficulty.is_some() && !self.is_terminal(&header.parent_hash) {
            return Some(format!(
                "its parent {} is not the last block of proof of work",
                header.parent_hash
            ));
        }
        self.check_child(&parent.header, header).err()
    }

    /// Spec: yellow paper, section 4.4.4, with EIP-1559, EIP-4844 and EIP-7918.
    fn check_child(&self, parent: &BlockHeader, header: &BlockHeader) -> Result<(), String> {
        let equal = |what: &str, expected: U256, found: U256| {
            let wrong = format!("its {what} is {found}, and {expected} follows from its parent");
            if expected == found { Ok(()) } else { Err(wrong) }
        };
        equal(
            "number",
            U256::from(parent.number) + U256::from(1),
            U256::from(header.number),
        )?;
        if header.timestamp <= parent.timestamp {
            return Err(format!(
                "its timestamp {} is not after its parent's, {}",
                header.timestamp, parent.timestamp
            ));
        }
        if !gas_limit_follows(parent, header.gas_limit) {
            return Err(format!(
                "its gas limit {} is too far from its parent's, {}",
                header.gas_limit, parent.gas_limit
            ));
        }
        equal("base fee", next_base_fee(parent), header.base_fee_per_gas)?;
        if header.state_root != parent.state_root {
            return Err("its state root is not its parent's, and nothing was executed".to_owned());
        }
        let Some(BlobGas { used, excess }) = header.blob_gas else {
            return Ok(());
        };
        let (fork, rules) = (
            self.schedule.fork_at(header.timestamp),
            self.schedule.blobs_at(header.timestamp),
        );
        if used > rules.max.saturating_mul(GAS_PER_BLOB) {
            return Err(format!("it has {} blobs, at most {}", used / GAS_PER_BLOB, rules.max));
        }
        let expected = next_excess_blob_gas(parent, fork, rules);
        equal("excess blob gas", U256::from(expected), U256::from(excess))
    }

    /// Whether a block of proof of work is the last one. Spec: EIP-3675, "Transition block validity".
    fn is_terminal(&self, hash: &Hash32) -> bool {
        let limit = self.schedule.config().terminal_total_difficulty;
        let (Some(total), Some(header)) = (self.total_difficulty(hash), self.header(hash)) else {
            return false;
        };
        let before = self.total_difficulty(&header.parent_hash).unwrap_or(U256::ZERO);
        total >= limit && before < limit
    }

    /// A block and its known ancestors, from the top.
    fn ancestors(&self, from: Hash32) -> impl Iterator<Item = Hash32> {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let hash = next?;
            let known = self.blocks.get(&hash)?;
            next = Some(known.header.parent_hash);
            Some(hash)
        })
        .take(MAX_WALK)
    }

    /// The last valid block on the way to `hash`: zeros if that is one of proof of work.
    fn latest_valid(&self, hash: Hash32) -> Option<Hash32> {
        let valid = |hash: &Hash32| self.blocks.get(hash).is_some_and(|known| known.invalid.is_none());
        let found = self.ancestors(hash).find(valid)?;
        Some(if self.total_difficulty(&found).is_some() {
            Hash32::ZERO
        } else {
            found
        })
    }

    /// Follows the beacon chain's head. `Ok(true)` beside the status if a payload may be built on it.
    ///
    /// Spec: paris.md, `engine_forkchoiceUpdatedV1`.
    pub(crate) fn forkchoice_updated(&mut self, state: &ForkchoiceState) -> Result<(PayloadStatus, bool), RpcError> {
        let head = state.head_block_hash;
        let status = self.status(&head);
        if status.status != Status::Valid {
            return Ok((status, false));
        }
        if self.total_difficulty(&head).is_some() && !self.is_terminal(&head) {
            let why = "the head is a block of proof of work before the last one";
            return Ok((PayloadStatus::invalid(Some(Hash32::ZERO), why), false));
        }
        if self.is_before_finality(&head) {
            return Ok((status, false));
        }
        for (name, hash) in [
            ("safe", state.safe_block_hash),
            ("finalized", state.finalized_block_hash),
        ] {
            self.check_ancestor(name, hash, head)?;
        }
        self.head = head;
        if !state.finalized_block_hash.is_zero() {
            self.finalized = state.finalized_block_hash;
        }
        Ok((status, true))
    }

    /// Whether a block is a proper ancestor of the finalized one.
    fn is_before_finality(&self, hash: &Hash32) -> bool {
        !self.finalized.is_zero() && self.ancestors(self.finalized).skip(1).any(|ancestor| ancestor == *hash)
    }

    /// Safe and finalized blocks stand on the chain of the head. Of one older than all that is known nobody can tell.
    fn check_ancestor(&self, name: &str, hash: Hash32, head: Hash32) -> Result<(), RpcError> {
        if hash.is_zero() || self.ancestors(head).any(|ancestor| ancestor == hash) {
            return Ok(());
        }
        let oldest = self.ancestors(head).last().and_then(|oldest| self.header(&oldest));
        let begins_at_genesis = oldest.is_some_and(|oldest| oldest.number == 0);
        if self.blocks.contains_key(&hash) || begins_at_genesis {
            let message = format!("the {name} block {hash} is no ancestor of the head {head}");
            return Err(RpcError::new(code::INVALID_FORKCHOICE_STATE, message));
        }
        Ok(())
    }
}

/// Why a payload is nothing that this engine could have built: it runs no transaction.
fn not_executable(payload: &ExecutionPayload) -> Option<String> {
    let kinds = payload.transactions.iter().map(|transaction| transaction.0.first());
    if let Some(place) = kinds.into_iter().position(|kind| kind != Some(&BLOB_TX_TYPE)) {
        return Some(format!(
            "transaction {place} carries no blobs, and the dev engine executes nothing"
        ));
    }
    let executed = payload.gas_used != 0 || !payload.logs_bloom.is_zero();
    executed.then(|| "it says that transactions were executed, and the dev engine executes nothing".to_owned())
}
