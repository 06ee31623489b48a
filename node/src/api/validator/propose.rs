//! Blocks to sign.

use crate::api::http::{Answer, Body, Call, Error, Format, JSON_OR_SSZ, Router};
use crate::api::reply::Reply;
use crate::api::{ApiContext, Context};
use crate::produce::{NoBlock, Wanted};
use crate::production::{AnyBlock, ProducedBlock};
use crate::work::Lane;
use consensus::Fork;
use consensus::constants::G2_POINT_AT_INFINITY;
use consensus::ssz::{Json, Out, Ssz};
use consensus::types::{BLSSignature, BlockContents, Bytes32};

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v3/validator/blocks/{slot}", JSON_OR_SSZ, produce_block);
}

/// Whichever payload pays more is taken where the client does not say otherwise.
///
/// Spec: beacon-APIs, `builder_boost_factor` (100).
const BOOST_FACTOR: u64 = 100;

/// Spec: beacon-APIs, `produceBlockV3`.
async fn produce_block(context: Context, call: Call) -> Answer {
    let slot = call.path_number(0, "slot")?;
    let randao_reveal: BLSSignature = call.query.required("randao_reveal", "a signature with 0x")?;
    let graffiti: Option<Bytes32> = call.query.read("graffiti", "32 bytes with 0x")?;
    let builder_boost_factor = call.query.number("builder_boost_factor")?;
    let skip = call.query.one("skip_randao_verification")?;
    if skip.is_some_and(|value| !value.is_empty()) {
        return Err(Error::bad_request(
            "skip_randao_verification is a flag and has no value",
        ));
    }
    if skip.is_some() && randao_reveal != G2_POINT_AT_INFINITY {
        let message = "with skip_randao_verification the randao_reveal is the point at infinity";
        return Err(Error::bad_request(message));
    }
    context.check_synced()?;
    let wanted = Wanted {
        slot,
        randao_reveal,
        verify_randao: skip.is_none(),
        graffiti: graffiti.unwrap_or_default(),
        builder_boost_factor: builder_boost_factor.unwrap_or(BOOST_FACTOR),
    };
    let made = context.producer.produce(wanted).await.map_err(|why| match why {
        NoBlock::Refused(why) => Error::bad_request(why),
        NoBlock::Unavailable(why) => Error::unavailable(why),
    })?;
    let work = context.chain.work();
    Ok(work.run(Lane::Produce, move || answer(made, call.format)).await?)
}

/// The block with what is told beside it. With blobs it is large: for workers.
fn answer(made: ProducedBlock, format: Format) -> crate::api::http::Response {
    let fork = made.fork;
    let blinded = matches!(made.block, AnyBlock::Blinded(_));
    let (paid, earned) = (
        made.execution_payload_value.to_string(),
        made.consensus_block_value().to_string(),
    );
    let reply = Reply::new()
        .version(fork)
        .member("execution_payload_blinded", blinded.to_string())
        .member("execution_payload_value", format!("\"{paid}\""))
        .member("consensus_block_value", format!("\"{earned}\""))
        .header("eth-execution-payload-blinded", blinded.to_string())
        .header("eth-execution-payload-value", paid)
        .header("eth-consensus-block-value", earned);
    let bytes = match made.block {
        AnyBlock::Blinded(block) => written(&reply, format, fork, &*block),
        AnyBlock::Full(block) if fork < Fork::Deneb => written(&reply, format, fork, &*block),
        AnyBlock::Full(block) => {
            let contents = BlockContents {
                block: *block,
                kzg_proofs: made.kzg_proofs,
                blobs: made.blobs,
                ..BlockContents::default()
            };
            written(&reply, format, fork, &contents)
        }
    };
    reply.with(format, Body::full(bytes))
}

fn written<T: Json + Ssz>(reply: &Reply, format: Format, fork: Fork, value: &T) -> Vec<u8> {
    if format == Format::Ssz {
        return value.encode(fork);
    }
    let mut out = Out::memory(value.encoded_len(fork, &[]) * 2);
    out.put(&reply.before_data());
    value.write_json(fork, &[], &mut out);
    out.put(b"}");
    out.into_bytes()
}
