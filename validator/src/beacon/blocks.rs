//! Producing and publishing blocks: the largest messages there are, in SSZ where the node speaks it.
//!
//! A block may come full, with its blobs, or blinded, where a builder keeps the payload. Both are signed the same way:
//! the header of a blinded block is the header of the full one.

use super::error::{CallError, Kind};
use super::http::{Form, Request, Response};
use super::node::Node;
use super::shapes::{member, parse, read_at};
use consensus::ssz::{Json, Ssz};
use consensus::types::{
    BLSSignature, BeaconBlock, BeaconBlockHeader, BlindedBeaconBlock, BlockContents, Bytes32, Epoch, ExecutionAddress,
    Root, SignedBeaconBlock, SignedBlindedBeaconBlock, SignedBlockContents, Slot,
};
use consensus::{Config, Fork};
use hyper::body::Bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A block without its blobs is far below this: gossip takes 10 MiB.
const MAX_BLOCK_BYTES: usize = 12 << 20;
/// A blob with all its proofs.
const BYTES_PER_BLOB_WITH_PROOFS: usize = (128 << 10) + 128 * 48;
/// The answer to a published block is empty or an error.
const PUBLISHED_LIMIT: usize = 64 * 1024;

/// What is asked when a block is wanted.
#[derive(Clone, Debug)]
pub struct BlockRequest {
    /// The slot to propose at.
    pub slot: Slot,
    /// The proposer's signature of the epoch.
    pub randao_reveal: BLSSignature,
    /// What is written on the block.
    pub graffiti: Option<Bytes32>,
    /// Percent by which a builder's payload is worth more: 0 for none of theirs.
    pub builder_boost_factor: Option<u64>,
}

/// An unsigned block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// With its payload and blobs.
    Full(Box<BlockContents>),
    /// With the payload's header only.
    Blinded(Box<BlindedBeaconBlock>),
}

/// A block as a node produced it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Its fork, by the node's word.
    pub fork: Fork,
    /// The block.
    pub block: Unsigned,
}

/// How far a published block came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Broadcast, and part of the node's chain.
    Integrated,
    /// Broadcast, but the node could not take it into its own chain.
    BroadcastOnly,
}

impl Produced {
    /// The header that is signed.
    pub fn header(&self) -> BeaconBlockHeader {
        let (slot, proposer_index, parent_root, state_root, body_root) = match &self.block {
            Unsigned::Full(contents) => {
                let block = &contents.block;
                let body_root = block.body.hash_tree_root(self.fork);
                (
                    block.slot,
                    block.proposer_index,
                    block.parent_root,
                    block.state_root,
                    body_root,
                )
            }
            Unsigned::Blinded(block) => {
                let body_root = block.body.hash_tree_root(self.fork);
                (
                    block.slot,
                    block.proposer_index,
                    block.parent_root,
                    block.state_root,
                    body_root,
                )
            }
        };
        BeaconBlockHeader {
            slot,
            proposer_index,
            parent_root,
            state_root,
            body_root,
        }
    }

    /// Where the fees go; `None` before Bellatrix.
    pub fn fee_recipient(&self) -> Option<ExecutionAddress> {
        let fee_recipient = match &self.block {
            Unsigned::Full(contents) => contents.block.body.execution_payload.fee_recipient,
            Unsigned::Blinded(block) => block.body.execution_payload_header.fee_recipient,
        };
        (self.fork >= Fork::Bellatrix).then_some(fee_recipient)
    }

    /// How many blobs it carries.
    pub fn blobs(&self) -> usize {
        match &self.block {
            Unsigned::Full(contents) => contents.block.body.blob_kzg_commitments.len(),
            Unsigned::Blinded(block) => block.body.blob_kzg_commitments.len(),
        }
    }

    /// Whether the payload is kept by a builder.
    pub fn is_blinded(&self) -> bool {
        matches!(self.block, Unsigned::Blinded(_))
    }

    /// The block with its signature, ready to be published by any node.
    pub fn sign(self, signature: BLSSignature) -> Signed {
        let fork = self.fork;
        let block = match self.block {
            Unsigned::Full(contents) => {
                let BlockContents {
                    block,
                    kzg_proofs,
                    blobs,
                    ..
                } = *contents;
                SignedBody::Full(Box::new(SignedBlockContents {
                    signed_block: SignedBeaconBlock {
                        message: block,
                        signature,
                    },
                    kzg_proofs,
                    blobs,
                }))
            }
            Unsigned::Blinded(block) => SignedBody::Blinded(Box::new(SignedBlindedBeaconBlock {
                message: *block,
                signature,
            })),
        };
        Signed { fork, block }
    }
}

#[derive(Clone, Debug)]
enum SignedBody {
    Full(Box<SignedBlockContents>),
    Blinded(Box<SignedBlindedBeaconBlock>),
}

/// A signed block.
#[derive(Clone, Debug)]
pub struct Signed {
    fork: Fork,
    block: SignedBody,
}

impl Signed {
    /// The route that takes it.
    fn path(&self) -> &'static str {
        match self.block {
            SignedBody::Full(_) => "/eth/v2/beacon/blocks",
            SignedBody::Blinded(_) => "/eth/v2/beacon/blinded_blocks",
        }
    }

    fn encode(&self, form: Form) -> Bytes {
        let fork = self.fork;
        match &self.block {
            // A block travels bare before blobs were invented.
            SignedBody::Full(contents) if fork < Fork::Deneb => write(&contents.signed_block, fork, form),
            SignedBody::Full(contents) => write(contents.as_ref(), fork, form),
            SignedBody::Blinded(block) => write(block.as_ref(), fork, form),
        }
    }
}

fn write<T: Ssz + Json>(value: &T, fork: Fork, form: Form) -> Bytes {
    match form {
        Form::Ssz => value.encode(fork).into(),
        Form::Json => value.to_json(fork).into_bytes().into(),
    }
}

/// The largest answer that a node may give to a request for a block of `epoch`: in JSON every byte takes two.
fn produce_limit(config: &Config, epoch: Epoch) -> usize {
    let blobs = config.max_blobs_per_block_at(epoch) as usize;
    MAX_BLOCK_BYTES
        .saturating_add(blobs.saturating_mul(BYTES_PER_BLOB_WITH_PROOFS))
        .saturating_mul(2)
}

impl Node {
    /// Asks for a block, full or blinded as the node decides. Spec: beacon-APIs, `produceBlockV3`.
    pub async fn produce_block(
        &self,
        request: &BlockRequest,
        config: &Config,
        epoch: Epoch,
        timeout: Duration,
    ) -> Result<Produced, CallError> {
        let mut path = format!(
            "/eth/v3/validator/blocks/{}?randao_reveal={}",
            request.slot, request.randao_reveal
        );
        if let Some(graffiti) = request.graffiti {
            path += &["&graffiti=", &graffiti.to_string()].concat();
        }
        if let Some(factor) = request.builder_boost_factor {
            path += &["&builder_boost_factor=", &factor.to_string()].concat();
        }
        let mut call = Request::get(path.clone(), produce_limit(config, epoch), timeout);
        call.ssz = true;
        let response = self.http.call(call).await?;
        read_produced(&response).map_err(|error| self.odd(&path, error))
    }

    /// Publishes a block, in SSZ unless this node has refused that before.
    ///
    /// Spec: beacon-APIs, `publishBlockV2` and `publishBlindedBlockV2`.
    pub async fn publish_block(&self, signed: &Signed, timeout: Duration) -> Result<Published, CallError> {
        if !self.json_blocks.load(Ordering::Relaxed) {
            match self.publish_block_as(signed, Form::Ssz, timeout).await {
                Err(error) if error.kind == Kind::Status(415) => self.json_blocks.store(true, Ordering::Relaxed),
                result => return result,
            }
        }
        self.publish_block_as(signed, Form::Json, timeout).await
    }

    async fn publish_block_as(&self, signed: &Signed, form: Form, timeout: Duration) -> Result<Published, CallError> {
        let body = signed.encode(form);
        let mut request = Request::post(signed.path().into(), form, body, PUBLISHED_LIMIT, timeout);
        request.version = Some(signed.fork);
        let response = self.http.call(request).await?;
        Ok(if response.status == 202 {
            Published::BroadcastOnly
        } else {
            Published::Integrated
        })
    }
}

fn read_produced(response: &Response) -> Result<Produced, CallError> {
    match response.form {
        Form::Ssz => {
            let fork = response.version.ok_or_else(|| {
                CallError::bad_answer("the block came without Eth-Consensus-Version, or of a fork unknown here")
            })?;
            let blinded = response.blinded.unwrap_or(false);
            let decoded = match (blinded, fork >= Fork::Deneb) {
                (true, _) => decode::<BlindedBeaconBlock>(&response.body, fork).map(blinded_block),
                (false, true) => decode::<BlockContents>(&response.body, fork).map(full_block),
                (false, false) => decode::<BeaconBlock>(&response.body, fork).map(bare_block),
            };
            decoded.map(|block| Produced { fork, block })
        }
        Form::Json => read_produced_json(response),
    }
}

fn read_produced_json(response: &Response) -> Result<Produced, CallError> {
    let answer = parse(&response.body)?;
    let named = answer["version"].as_str().and_then(|name| name.parse().ok());
    let fork: Fork = named
        .or(response.version)
        .ok_or_else(|| CallError::bad_answer("the block came without a version, or of a fork unknown here"))?;
    let blinded = answer["execution_payload_blinded"].as_bool().or(response.blinded);
    let data = member(&answer, "data")?;
    let block = match (blinded.unwrap_or(false), fork >= Fork::Deneb) {
        (true, _) => blinded_block(read_at(data, fork)?),
        (false, true) => full_block(read_at(data, fork)?),
        (false, false) => bare_block(read_at(data, fork)?),
    };
    Ok(Produced { fork, block })
}

fn decode<T: Ssz>(bytes: &[u8], fork: Fork) -> Result<T, CallError> {
    T::decode(bytes, fork).map_err(|error| CallError::bad_answer(format!("the block does not decode: {error}")))
}

fn blinded_block(block: BlindedBeaconBlock) -> Unsigned {
    Unsigned::Blinded(Box::new(block))
}

fn full_block(contents: BlockContents) -> Unsigned {
    Unsigned::Full(Box::new(contents))
}

fn bare_block(block: BeaconBlock) -> Unsigned {
    full_block(BlockContents {
        block,
        ..BlockContents::default()
    })
}

/// The root of a block is that of its header. Spec: phase0/beacon-chain.md, `BeaconBlockHeader`.
pub fn header_root(header: &BeaconBlockHeader) -> Root {
    header.hash_tree_root(Fork::Phase0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(form: Form, body: Vec<u8>, version: Option<Fork>, blinded: Option<bool>) -> Response {
        Response {
            status: 200,
            form,
            version,
            blinded,
            date: None,
            body: body.into(),
        }
    }

    fn contents(fork: Fork) -> BlockContents {
        let mut contents = BlockContents::new(fork);
        contents.block.slot = 77;
        contents.block.body.execution_payload.fee_recipient.0[0] = 9;
        contents
    }

    #[test]
    fn blocks_of_every_form_are_read() {
        let full = contents(Fork::Fulu);
        let mut blinded = BlindedBeaconBlock::new(Fork::Fulu);
        blinded.slot = 78;
        let ssz = read_produced(&response(
            Form::Ssz,
            full.encode(Fork::Fulu),
            Some(Fork::Fulu),
            Some(false),
        ))
        .unwrap();
        assert_eq!(ssz.block, Unsigned::Full(Box::new(full.clone())));
        assert_eq!(ssz.fee_recipient().unwrap().0[0], 9);

        let text = format!(
            "{{\"version\":\"fulu\",\"execution_payload_blinded\":false,\"data\":{}}}",
            full.to_json(Fork::Fulu)
        );
        assert_eq!(
            read_produced(&response(Form::Json, text.into_bytes(), None, None)).unwrap(),
            ssz
        );

        let body = blinded.encode(Fork::Fulu);
        let read = read_produced(&response(Form::Ssz, body, Some(Fork::Fulu), Some(true))).unwrap();
        assert_eq!(read.header().slot, 78);
        assert!(read.is_blinded());

        let bare = contents(Fork::Capella).block;
        let body = bare.encode(Fork::Capella);
        let read = read_produced(&response(Form::Ssz, body.clone(), Some(Fork::Capella), None)).unwrap();
        assert_eq!(read.header().body_root, bare.body.hash_tree_root(Fork::Capella));
        assert_eq!(header_root(&read.header()), bare.hash_tree_root(Fork::Capella));
        assert_eq!(
            *read.sign(BLSSignature::default()).encode(Form::Ssz),
            SignedBeaconBlock {
                message: bare,
                signature: BLSSignature::default(),
            }
            .encode(Fork::Capella)
        );
        assert!(read_produced(&response(Form::Ssz, body, None, None)).is_err());
    }

    #[test]
    fn broken_blocks_are_refused() {
        let bad: [&[u8]; 4] = [
            b"",
            b"{}",
            b"{\"version\":\"fulu\",\"data\":{}}",
            b"{\"version\":\"later\",\"data\":{}}",
        ];
        for body in bad {
            assert!(read_produced(&response(Form::Json, body.to_vec(), None, None)).is_err());
        }
        let cut = contents(Fork::Fulu).encode(Fork::Fulu)[..200].to_vec();
        let error = read_produced(&response(Form::Ssz, cut, Some(Fork::Fulu), None)).unwrap_err();
        assert_eq!(error.kind, Kind::BadAnswer);
    }
}
