//! New validators: their signing keys from a mnemonic, and the deposits that make them validators.
//!
//! The withdrawal key is never derived: withdrawals go to an address of the execution layer.
//!
//! Spec: EIP-2333, EIP-2334; phase0/deposit-contract.md; the fields of the deposit file are the launchpads'.

use super::import::{Candidate, public_key};
use anyhow::{Context, Result, anyhow, bail};
use consensus::constants::{COMPOUNDING_WITHDRAWAL_PREFIX, DOMAIN_DEPOSIT, ETH1_ADDRESS_WITHDRAWAL_PREFIX};
use consensus::preset::{MAX_EFFECTIVE_BALANCE_ELECTRA, MIN_ACTIVATION_BALANCE, MIN_DEPOSIT_AMOUNT};
use consensus::signing::{compute_domain, compute_signing_root};
use consensus::ssz::{Bytes, Root, Ssz};
use consensus::types::{BLSSignature, Bytes32, DepositData, DepositMessage, ExecutionAddress, Gwei};
use consensus::{Config, Fork};
use crypto::bls::SecretKey;
use crypto::derive::{KeyPath, SecretBytes, derive_path};
use serde_json::{Value, json};

/// The format of the deposit file is that of this version of `staking-deposit-cli`; launchpads refuse files that name an
/// older one or another tool's name.
const DEPOSIT_CLI_VERSION: &str = "2.8.0";

/// Whom withdrawals go to, and how much a validator may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawals {
    /// Everything above 32 ETH is paid out. Spec: capella/beacon-chain.md, credentials that begin with 0x01.
    PaidOut(ExecutionAddress),
    /// Rewards are kept and earn too, up to 2,048 ETH. Spec: electra/beacon-chain.md, credentials that begin with 0x02.
    Compounding(ExecutionAddress),
}

impl Withdrawals {
    /// The credentials as they stand in a deposit.
    pub fn credentials(&self) -> Bytes32 {
        let (prefix, address) = match self {
            Withdrawals::PaidOut(address) => (ETH1_ADDRESS_WITHDRAWAL_PREFIX, address),
            Withdrawals::Compounding(address) => (COMPOUNDING_WITHDRAWAL_PREFIX, address),
        };
        let mut credentials = [0; 32];
        credentials[0] = prefix;
        credentials[12..].copy_from_slice(address.as_bytes());
        Bytes(credentials)
    }

    /// Refuses amounts that the deposit contract refuses or the validator could not use.
    pub fn check_amount(&self, amount: Gwei) -> Result<()> {
        let most = match self {
            Withdrawals::PaidOut(_) => MIN_ACTIVATION_BALANCE,
            Withdrawals::Compounding(_) => MAX_EFFECTIVE_BALANCE_ELECTRA,
        };
        if !(MIN_DEPOSIT_AMOUNT..=most).contains(&amount) {
            bail!(
                "{amount} Gwei cannot be deposited for such a validator: at least {MIN_DEPOSIT_AMOUNT}, at most {most}"
            );
        }
        Ok(())
    }
}

/// The signing keys `first`, `first + 1`, … of a seed, with their paths.
pub fn derive_signing_keys(seed: &[u8; 64], first: u32, count: u32) -> Result<Vec<Candidate>> {
    let last = first
        .checked_add(count)
        .context("there are no keys beyond index 4294967295")?;
    let derive = |index| {
        let path = KeyPath::signing(index);
        Ok(Candidate {
            secret: derive_path(seed, &path)?,
            path: path.to_string(),
            description: None,
        })
    };
    (first..last).map(derive).collect()
}

/// A signed deposit of a new validator. Spec: phase0/validator.md, "Submit deposit".
pub fn sign_deposit(
    config: &Config,
    secret: &SecretBytes,
    withdrawals: &Withdrawals,
    amount: Gwei,
) -> Result<DepositData> {
    withdrawals.check_amount(amount)?;
    let message = DepositMessage {
        pubkey: public_key(secret)?,
        withdrawal_credentials: withdrawals.credentials(),
        amount,
    };
    let domain = compute_domain(DOMAIN_DEPOSIT, config.genesis_fork_version, Root::ZERO);
    let root = compute_signing_root(&message, Fork::Phase0, domain);
    let key = SecretKey::from_bytes(secret).map_err(|error| anyhow!("{error}"))?;
    let signature: BLSSignature = Bytes(key.sign(&root.0).to_bytes());
    Ok(DepositData {
        pubkey: message.pubkey,
        withdrawal_credentials: message.withdrawal_credentials,
        amount,
        signature,
    })
}

/// The file that launchpads take: hex without `0x`, the amount as a number.
pub fn deposit_file(config: &Config, deposits: &[DepositData]) -> String {
    let entries: Vec<Value> = deposits.iter().map(|deposit| deposit_entry(config, deposit)).collect();
    Value::from(entries).to_string()
}

fn deposit_entry(config: &Config, deposit: &DepositData) -> Value {
    let message = DepositMessage {
        pubkey: deposit.pubkey,
        withdrawal_credentials: deposit.withdrawal_credentials,
        amount: deposit.amount,
    };
    let hex = |text: String| text.trim_start_matches("0x").to_owned();
    json!({
        "pubkey": hex(deposit.pubkey.to_string()),
        "withdrawal_credentials": hex(deposit.withdrawal_credentials.to_string()),
        "amount": deposit.amount,
        "signature": hex(deposit.signature.to_string()),
        "deposit_message_root": hex(message.hash_tree_root(Fork::Phase0).to_string()),
        "deposit_data_root": hex(deposit.hash_tree_root(Fork::Phase0).to_string()),
        "fork_version": hex(config.genesis_fork_version.to_string()),
        "network_name": config.config_name,
        "deposit_cli_version": DEPOSIT_CLI_VERSION,
    })
}
