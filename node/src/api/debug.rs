//! Namespace `debug`.

use super::http::{Answer, Call, Error, Format, JSON, JSON_OR_SSZ, Router};
use super::json::{array, object};
use super::reply::Reply;
use super::{ApiContext, Context, bulk};
use crate::chain::Snapshot;
use consensus::Fork;
use consensus::fork_choice::{ExecutionStatus, Node};
use consensus::preset::NUMBER_OF_COLUMNS;
use consensus::ssz::{Json, Out, Ssz};
use consensus::types::{DataColumnSidecar, Root};
use std::collections::HashSet;
use storage::Sidecar;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v2/debug/beacon/states/{state_id}", JSON_OR_SSZ, get_state);
    router.get("/eth/v2/debug/beacon/heads", JSON, get_heads);
    router.get("/eth/v1/debug/fork_choice", JSON, get_fork_choice);
    router.get(
        "/eth/v1/debug/beacon/data_column_sidecars/{block_id}",
        JSON_OR_SSZ,
        get_data_column_sidecars,
    );
}

/// Spec: beacon-APIs, `getStateV2`.
async fn get_state(context: Context, call: Call) -> Answer {
    let found = context.state(&call).await?;
    let place = context.place().await?;
    let state = found.state;
    let reply = Reply::new().version(state.at).standing(found.standing);
    let before = reply.before_data();
    let format = call.format;
    let body = bulk::encoded(place, move |out| match format {
        Format::Ssz => state.encode_to(out),
        Format::Json => {
            out.put(&before);
            state.beacon.write_json(state.at, &[], out);
            out.put(b"}");
        }
    });
    Ok(reply.with(format, body))
}

/// Blocks that no other builds on.
fn leaves(snapshot: &Snapshot) -> Vec<&Node> {
    let nodes = snapshot.view.blocks().nodes();
    let valid = || nodes.iter().filter(|node| !node.invalid);
    let parents: HashSet<Root> = valid().map(|node| node.parent_root).collect();
    valid().filter(|node| !parents.contains(&node.root)).collect()
}

/// Spec: beacon-APIs, `getDebugChainHeadsV2`.
async fn get_heads(context: Context, _: Call) -> Answer {
    let snapshot = context.chain.snapshot();
    let answer = context.work(move || {
        Reply::new().json(|out| {
            array(out, leaves(&snapshot), |out, node| {
                object(out, |object| {
                    object.quoted("root", node.root);
                    object.quoted("slot", node.slot);
                    object.bare("execution_optimistic", snapshot.is_optimistic(&node.root));
                });
            });
        })
    });
    answer.await
}

/// Spec: beacon-APIs, `getDebugForkChoice`.
async fn get_fork_choice(context: Context, _: Call) -> Answer {
    let snapshot = context.chain.snapshot();
    // A node of a long time without finality is a hundred thousand blocks.
    let place = context.place().await?;
    let answer = context.work(move || {
        let _place = place;
        let mut out = Out::memory(4096);
        object(&mut out, |object| {
            let view = &snapshot.view;
            object.json("justified_checkpoint", &view.justified_checkpoint(), Fork::Phase0);
            object.json("finalized_checkpoint", &view.finalized_checkpoint(), Fork::Phase0);
            object.member("fork_choice_nodes", |out| array(out, view.blocks().nodes(), write_node));
            object.member("extra_data", |out| out.put(b"{}"));
        });
        Reply::new().with(Format::Json, super::http::Body::full(out.into_bytes()))
    });
    answer.await
}

/// Spec: beacon-APIs, `Node`. What votes weigh is known to the chain's own thread alone and not told here.
fn write_node(out: &mut Out, node: &Node) {
    let validity = match node.execution {
        _ if node.invalid => "invalid",
        ExecutionStatus::Valid => "valid",
        ExecutionStatus::NotValidated => "optimistic",
        ExecutionStatus::Invalidated => "invalid",
    };
    object(out, |object| {
        object.quoted("slot", node.slot);
        object.quoted("block_root", node.root);
        object.quoted("parent_root", node.parent_root);
        object.quoted("justified_epoch", node.current_justified_checkpoint.epoch);
        object.quoted("finalized_epoch", node.finalized_checkpoint.epoch);
        object.quoted("weight", 0);
        object.text("validity", validity);
        object.quoted("execution_block_hash", node.block_hash);
        object.member("extra_data", |out| out.put(b"{}"));
    });
}

/// Spec: beacon-APIs, `getDebugDataColumnSidecars`.
async fn get_data_column_sidecars(context: Context, call: Call) -> Answer {
    let wanted = call.query.list("indices");
    let read = |text: &&str| super::http::read_number(text).filter(|index| *index < NUMBER_OF_COLUMNS);
    let wanted: Option<Vec<u64>> = wanted.iter().map(read).collect();
    let wanted = wanted.ok_or_else(|| Error::bad_request(format!("an index is a number below {NUMBER_OF_COLUMNS}")))?;
    let block = context.block(&call).await?;
    let fork = block.fork();
    if fork < Fork::Fulu {
        return Err(Error::bad_request(
            "the block is from before Fulu and has no data columns",
        ));
    }
    let place = context.place().await?;
    let (root, slot) = (block.root, block.slot);
    let columns = context.read(move |storage| {
        let mut columns = Vec::new();
        for index in storage.sidecar_indices(slot, &root, Sidecar::Column)? {
            if wanted.is_empty() || wanted.contains(&index) {
                columns.extend(storage.sidecar(slot, &root, Sidecar::Column, index)?);
            }
        }
        Ok(columns)
    });
    let columns = columns.await?;
    let reply = Reply::new().version(fork).standing(block.standing);
    let (format, before) = (call.format, reply.before_data());
    let body = bulk::encoded(place, move |out| match format {
        Format::Ssz => write_list(out, &columns),
        Format::Json => {
            out.put(&before);
            array(out, &columns, |out, (fork, ssz)| {
                // What this node has written it can read; a column that it cannot is left empty rather than half an answer.
                let column = DataColumnSidecar::decode(ssz, *fork).unwrap_or_default();
                column.write_json(*fork, &[], out);
            });
            out.put(b"}");
        }
    });
    Ok(reply.with(format, body))
}

/// Writes items that are encoded already as a list of items of variable size. Spec: ssz/simple-serialize.md.
fn write_list(out: &mut Out, items: &[(Fork, Vec<u8>)]) {
    let mut offset = 4 * items.len();
    for (_, item) in items {
        out.put_offset(offset);
        offset += item.len();
    }
    for (_, item) in items {
        out.put(item);
    }
}
