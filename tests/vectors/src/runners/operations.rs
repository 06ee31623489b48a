//! One operation applied to a state. Format: tests/formats/operations.
//!
//! Every case runs twice: with signatures checked where they stand, and with signatures collected for one batch, as the
//! node does it. Both have to end alike.

use consensus::keys::Keys;
use consensus::signing::{Context, Signatures};
use consensus::ssz::Ssz;
use consensus::transition::block as apply;
use consensus::types::BeaconBlockBody;
use consensus::{Config, Fork, Invalid, State};

use super::state::read as read_state;
use crate::{BlsSetting, Case, Failure, Outcome, Verdict};

/// What an operation does, once it is read from the case.
type Step = Box<dyn Fn(&mut State, &mut Context) -> Result<(), Invalid>>;

/// Reads the operation of a case.
type Reader = fn(&Case) -> Result<Step, Failure>;

/// Every handler and what it calls.
const TABLE: [(&str, Reader); 19] = [
    ("attestation", attestation),
    ("attester_slashing", |case| {
        step(case, "attester_slashing", apply::process_attester_slashing)
    }),
    ("block_header", |case| {
        step(case, "block", |state, _, block| {
            apply::process_block_header(state, block)
        })
    }),
    ("bls_to_execution_change", |case| {
        step(case, "address_change", apply::process_bls_to_execution_change)
    }),
    ("builder_deposit_request", |case| {
        step(case, "builder_deposit_request", apply::process_builder_deposit_request)
    }),
    ("builder_exit_request", |case| {
        step(case, "builder_exit_request", apply::process_builder_exit_request)
    }),
    ("consolidation_request", |case| {
        step(case, "consolidation_request", apply::process_consolidation_request)
    }),
    ("deposit", |case| step(case, "deposit", apply::process_deposit)),
    ("deposit_request", |case| {
        step(case, "deposit_request", |state, _, request| {
            apply::process_deposit_request(state, request);
            Ok(())
        })
    }),
    ("execution_payload", execution_payload),
    ("execution_payload_bid", |case| {
        step(case, "execution_payload_bid", |state, ctx, bid| {
            apply::process_execution_payload_bid(state, ctx, bid).map(|_| ())
        })
    }),
    ("parent_execution_payload", |case| {
        step(case, "block", apply::process_parent_execution_payload)
    }),
    ("payload_attestation", |case| {
        step(case, "payload_attestation", |state, ctx, vote| {
            apply::process_payload_attestation(state, ctx, vote)
        })
    }),
    ("proposer_slashing", |case| {
        step(case, "proposer_slashing", apply::process_proposer_slashing)
    }),
    ("sync_aggregate", |case| {
        step(case, "sync_aggregate", apply::process_sync_aggregate)
    }),
    ("voluntary_exit", |case| {
        step(case, "voluntary_exit", apply::process_voluntary_exit)
    }),
    ("voluntary_exit_churn", |case| {
        step(case, "voluntary_exit", apply::process_voluntary_exit)
    }),
    ("withdrawal_request", |case| {
        step(case, "withdrawal_request", apply::process_withdrawal_request)
    }),
    ("withdrawals", withdrawals),
];

pub(super) const HANDLERS: [&str; TABLE.len()] = {
    let mut names = [""; TABLE.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = TABLE[at].0;
        at += 1;
    }
    names
};

/// The operation in `NAME.ssz_snappy`, and the function it is given to.
fn step<T: Ssz + 'static>(
    case: &Case,
    name: &str,
    process: fn(&mut State, &mut Context, &T) -> Result<(), Invalid>,
) -> Result<Step, Failure> {
    let operation: T = read(case, name)?;
    Ok(Box::new(move |state, ctx| process(state, ctx, &operation)))
}

fn read<T: Ssz>(case: &Case, name: &str) -> Result<T, Failure> {
    let bytes = case.ssz(&format!("{name}.ssz_snappy"))?;
    T::decode(&bytes, case.fork()).map_err(|error| Failure::new(format!("{name}: {error}")))
}

/// Since Gloas a vote is judged by the slot of the parent too.
fn attestation(case: &Case) -> Result<Step, Failure> {
    let operation = read(case, "attestation")?;
    let parent_slot = if case.fork() >= Fork::Gloas {
        case.meta()?.get("parent_slot")?.u64()?
    } else {
        0
    };
    Ok(Box::new(move |state, ctx| {
        apply::process_attestation(state, ctx, &operation, parent_slot)
    }))
}

/// The engine's verdict stands in the case. Format: tests/formats/operations, `execution_payload`.
fn execution_payload(case: &Case) -> Result<Step, Failure> {
    let body = read::<BeaconBlockBody>(case, "body")?;
    let execution_valid = case.yaml("execution.yaml")?.get("execution_valid")?.bool()?;
    Ok(Box::new(move |state, ctx| {
        apply::process_execution_payload(state, ctx.config, &body)?;
        if execution_valid {
            Ok(())
        } else {
            Err(Invalid::new("execution", "the engine finds the payload invalid"))
        }
    }))
}

/// Since Gloas there is no payload yet to compare with.
fn withdrawals(case: &Case) -> Result<Step, Failure> {
    if case.fork() >= Fork::Gloas {
        return Ok(Box::new(|state, _| apply::process_withdrawals(state, None)));
    }
    step(case, "execution_payload", |state, _, payload| {
        apply::process_withdrawals(state, Some(payload))
    })
}

pub(super) fn run(case: &Case) -> Outcome {
    let handler = case.path().handler();
    let reader = TABLE
        .iter()
        .find(|(name, _)| *name == handler)
        .map(|(_, reader)| reader);
    let step = reader.ok_or_else(|| Failure::new(format!("unknown handler '{handler}'")))?(case)?;
    let pre = read_state(case, "pre.ssz_snappy")?;
    let keys = Keys::of(&pre).map_err(|error| Failure::new(format!("keys of the pre state: {error}")))?;
    let config = Config::standard();
    let ways = match case.bls_setting()? {
        BlsSetting::Ignored => [Signatures::Trust, Signatures::Trust],
        BlsSetting::Optional | BlsSetting::Required => [Signatures::Verify, Signatures::Collect(Vec::new())],
    };
    let mut verdict = Verdict::Valid;
    for signatures in ways {
        let how = format!("with signatures {signatures:?}");
        let mut ctx = Context::with(&config, &keys, signatures);
        let mut state = pre.clone();
        state.prepare();
        let result = step(&mut state, &mut ctx).and_then(|()| ctx.verify_collected());
        match case.expect_validity(&format!("{handler} {how}"), case.has("post.ssz_snappy"), result)? {
            Some(()) => case.expect_ssz(&format!("post state {how}"), "post.ssz_snappy", &state.encode())?,
            None => verdict = Verdict::Refused,
        }
    }
    Ok(verdict)
}
