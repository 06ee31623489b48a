//! Namespace `config`.

use super::http::{Answer, Call, JSON, Router};
use super::reply::Reply;
use super::{ApiContext, Context, json};
use consensus::Fork;
use consensus::ssz::Json;
use consensus::types::ForkInfo;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    router.get("/eth/v1/config/spec", JSON, get_spec);
    router.get("/eth/v1/config/fork_schedule", JSON, get_fork_schedule);
    router.get("/eth/v1/config/deposit_contract", JSON, get_deposit_contract);
}

/// Spec: beacon-APIs, `getSpec`.
async fn get_spec(context: Context, _: Call) -> Answer {
    let spec = context.chain.config().spec_json();
    Ok(Reply::new().json(|out| out.put(spec.to_string().as_bytes())))
}

/// Spec: beacon-APIs, `getForkSchedule`.
async fn get_fork_schedule(context: Context, _: Call) -> Answer {
    let config = context.chain.config();
    let forks = config.scheduled_forks().map(|(fork, version, epoch)| ForkInfo {
        previous_version: config.fork_version(fork.previous().unwrap_or(fork)),
        current_version: version,
        epoch,
    });
    let forks: Vec<ForkInfo> = forks.collect();
    Ok(Reply::new().json(|out| json::array(out, &forks, |out, fork| fork.write_json(Fork::Phase0, &[], out))))
}

/// Spec: beacon-APIs, `getDepositContract`.
async fn get_deposit_contract(context: Context, _: Call) -> Answer {
    let config = context.chain.config();
    Ok(Reply::new().object(|object| {
        object.quoted("chain_id", config.deposit_chain_id);
        object.quoted("address", config.deposit_contract_address);
    }))
}
