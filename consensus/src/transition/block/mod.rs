//! What a block does to a state, one file per step.

mod attestation;
mod attester_slashing;
mod bls_to_execution_change;
mod builder_deposit_request;
mod builder_exit_request;
mod consolidation_request;
pub mod deposit;
mod deposit_request;
mod payload_attestation;
mod proposer_slashing;
mod voluntary_exit;
mod withdrawal_request;

pub use attestation::process_attestation;
pub use attester_slashing::process_attester_slashing;
pub use bls_to_execution_change::process_bls_to_execution_change;
pub use builder_deposit_request::process_builder_deposit_request;
pub use builder_exit_request::process_builder_exit_request;
pub use consolidation_request::{is_valid_switch_to_compounding_request, process_consolidation_request};
pub use deposit::process_deposit;
pub use deposit_request::process_deposit_request;
pub use payload_attestation::process_payload_attestation;
pub use proposer_slashing::process_proposer_slashing;
pub use voluntary_exit::process_voluntary_exit;
pub use withdrawal_request::process_withdrawal_request;
