//! `wren exit status`: from the exit to the payout, in dates.

use super::Chain;
use super::send::withdrawal_address;
use crate::beacon::NodeArgs;
use crate::exit::Failure;
use crate::keys::list::{eth, status_in_words};
use clap::Parser;
use consensus::constants::FAR_FUTURE_EPOCH;
use std::process::ExitCode;
use std::time::Duration;
use validator::beacon::{self, Leaving};
use validator::exit::Rules;
use validator::settings::to_checksum;

const EXAMPLES: &str = "\
Examples:
  wren exit status 123456
  wren exit status 0x8b7b… --follow";

/// `wren exit status …`
#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(super) struct Status {
    /// Which validator
    #[arg(value_name = "INDEX|PUBKEY")]
    validator: String,
    /// Go on until it is paid out, with a line for every change
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    nodes: NodeArgs,
}

/// Between two looks at the chain: nothing here changes faster than an epoch.
const LOOK: Duration = Duration::from_secs(30);

pub(super) fn run(args: &Status) -> Result<ExitCode, Failure> {
    let chain = Chain::connect(&args.nodes, None)?;
    let mut told = String::new();
    loop {
        let one = match chain.validator(&args.validator.to_lowercase()) {
            // A node that restarts while it is followed is asked again.
            Err(_) if !told.is_empty() => None,
            found => Some(found?),
        };
        let paid = one
            .as_ref()
            .is_some_and(|one| one.info.status == beacon::Status::WithdrawalDone);
        let text = one.map_or_else(|| told.clone(), |one| describe(&one, &chain.rules));
        if text != told {
            println!("{text}");
            told = text;
        }
        if paid || !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(LOOK.min(Duration::from_millis(chain.rules.slot_duration_ms)));
    }
}

/// Where a validator is on its way out.
fn describe(one: &Leaving, rules: &Rules) -> String {
    let info = &one.info;
    let address = withdrawal_address(&one.withdrawal_credentials);
    let to = address.map_or_else(
        || "nobody yet: it has no withdrawal address".into(),
        |address| to_checksum(&address),
    );
    let (exit, payout) = (info.exit_epoch, one.withdrawable_epoch);
    let next = match info.status {
        beacon::Status::PendingInitialized | beacon::Status::PendingQueued => "it has not begun yet".into(),
        _ if exit == FAR_FUTURE_EPOCH => "the chain has no exit of it".into(),
        beacon::Status::ActiveExiting | beacon::Status::ActiveSlashed | beacon::Status::ActiveOngoing => format!(
            "it leaves at epoch {exit} ({}), keep it running until then; its ETH is paid out after epoch {payout} ({})",
            rules.date(exit),
            rules.date(payout)
        ),
        beacon::Status::ExitedUnslashed | beacon::Status::ExitedSlashed => format!(
            "it left at epoch {exit} ({}), and needs to run no more; its ETH is paid out after epoch {payout} ({})",
            rules.date(exit),
            rules.date(payout)
        ),
        beacon::Status::WithdrawalPossible => format!(
            "it can be paid out since epoch {payout} ({}); the chain pays all validators in turn, and this one's turn comes",
            rules.date(payout)
        ),
        beacon::Status::WithdrawalDone => format!(
            "it is paid; it left at epoch {exit} ({}) and could be paid since epoch {payout} ({})",
            rules.date(exit),
            rules.date(payout)
        ),
    };
    format!(
        "validator {}: {}, balance {} ETH, goes to {to}; {next}",
        info.index,
        status_in_words(info.status),
        eth(info.balance)
    )
}
