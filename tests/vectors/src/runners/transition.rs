//! Blocks across a fork. Format: tests/formats/transition.

use consensus::Config;

use super::blocks::{apply_blocks, read_blocks};
use super::state::read_at;
use crate::yaml::Yaml;
use crate::{Case, Failure, Outcome};

pub(super) fn run(case: &Case) -> Outcome {
    let meta = case.meta()?;
    let post_fork = case.fork();
    let told = meta.get("post_fork")?.text()?;
    if told != post_fork.name() {
        return Err(Failure::new(format!(
            "post_fork is {told} in the folder of {post_fork}"
        )));
    }
    let Some(pre_fork) = post_fork.previous() else {
        return Err(Failure::new(format!("there is no fork before {post_fork}")));
    };
    let mut config = Config::standard().with_forks_at_genesis(pre_fork);
    config.set_fork_epoch(post_fork, meta.get("fork_epoch")?.u64()?);
    let last_before = meta.find("fork_block")?.map(Yaml::u64).transpose()?;
    let is_before = |number| last_before.is_some_and(|last| number <= last);
    let blocks = read_blocks(case, |number| if is_before(number) { pre_fork } else { post_fork })?;
    apply_blocks(case, read_at(case, "pre.ssz_snappy", pre_fork)?, &config, &blocks)
}
