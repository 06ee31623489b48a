//! The mainnet preset, on which every public network runs.

preset! {
    "phase0/beacon-chain.md", "Misc" {
        MAX_COMMITTEES_PER_SLOT = 64;
        TARGET_COMMITTEE_SIZE = 128;
        MAX_VALIDATORS_PER_COMMITTEE = 2048;
        SHUFFLE_ROUND_COUNT = 90;
        HYSTERESIS_QUOTIENT = 4;
        HYSTERESIS_DOWNWARD_MULTIPLIER = 1;
        HYSTERESIS_UPWARD_MULTIPLIER = 5;
    }
    "phase0/beacon-chain.md", "Gwei values" {
        MIN_DEPOSIT_AMOUNT = 1_000_000_000;
        MAX_EFFECTIVE_BALANCE = 32_000_000_000;
        EFFECTIVE_BALANCE_INCREMENT = 1_000_000_000;
    }
    "phase0/beacon-chain.md", "Time parameters" {
        MIN_ATTESTATION_INCLUSION_DELAY = 1;
        SLOTS_PER_EPOCH = 32;
        MIN_SEED_LOOKAHEAD = 1;
        MAX_SEED_LOOKAHEAD = 4;
        EPOCHS_PER_ETH1_VOTING_PERIOD = 64;
        SLOTS_PER_HISTORICAL_ROOT = 8192;
        MIN_EPOCHS_TO_INACTIVITY_PENALTY = 4;
    }
    "phase0/beacon-chain.md", "State list lengths" {
        EPOCHS_PER_HISTORICAL_VECTOR = 65536;
        EPOCHS_PER_SLASHINGS_VECTOR = 8192;
        HISTORICAL_ROOTS_LIMIT = 16_777_216;
        VALIDATOR_REGISTRY_LIMIT = 1_099_511_627_776;
    }
    "phase0/beacon-chain.md", "Rewards and penalties" {
        BASE_REWARD_FACTOR = 64;
        WHISTLEBLOWER_REWARD_QUOTIENT = 512;
        PROPOSER_REWARD_QUOTIENT = 8;
        INACTIVITY_PENALTY_QUOTIENT = 67_108_864;
        MIN_SLASHING_PENALTY_QUOTIENT = 128;
        PROPORTIONAL_SLASHING_MULTIPLIER = 1;
    }
    "phase0/beacon-chain.md", "Max operations per block" {
        MAX_PROPOSER_SLASHINGS = 16;
        MAX_ATTESTER_SLASHINGS = 2;
        MAX_ATTESTATIONS = 128;
        MAX_DEPOSITS = 16;
        MAX_VOLUNTARY_EXITS = 16;
    }
    "altair/beacon-chain.md", "Rewards and penalties" {
        INACTIVITY_PENALTY_QUOTIENT_ALTAIR = 50_331_648;
        MIN_SLASHING_PENALTY_QUOTIENT_ALTAIR = 64;
        PROPORTIONAL_SLASHING_MULTIPLIER_ALTAIR = 2;
    }
    "altair/beacon-chain.md", "Sync committee" {
        SYNC_COMMITTEE_SIZE = 512;
        EPOCHS_PER_SYNC_COMMITTEE_PERIOD = 256;
    }
    "altair/light-client/sync-protocol.md", "Sync protocol" {
        MIN_SYNC_COMMITTEE_PARTICIPANTS = 1;
        UPDATE_TIMEOUT = 8192;
    }
    "bellatrix/beacon-chain.md", "Rewards and penalties" {
        INACTIVITY_PENALTY_QUOTIENT_BELLATRIX = 16_777_216;
        MIN_SLASHING_PENALTY_QUOTIENT_BELLATRIX = 32;
        PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX = 3;
    }
    "bellatrix/beacon-chain.md", "Execution" {
        MAX_BYTES_PER_TRANSACTION = 1_073_741_824;
        MAX_TRANSACTIONS_PER_PAYLOAD = 1_048_576;
        BYTES_PER_LOGS_BLOOM = 256;
        MAX_EXTRA_DATA_BYTES = 32;
    }
    "capella/beacon-chain.md", "Max operations per block" {
        MAX_BLS_TO_EXECUTION_CHANGES = 16;
    }
    "capella/beacon-chain.md", "Execution" {
        MAX_WITHDRAWALS_PER_PAYLOAD = 16;
    }
    "capella/beacon-chain.md", "Withdrawals processing" {
        MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP = 16384;
    }
    "deneb/beacon-chain.md", "Execution" {
        MAX_BLOB_COMMITMENTS_PER_BLOCK = 4096;
    }
    "deneb/p2p-interface.md", "Networking" {
        KZG_COMMITMENT_INCLUSION_PROOF_DEPTH = 17;
    }
    "deneb/beacon-chain.md", "Blob" {
        FIELD_ELEMENTS_PER_BLOB = 4096;
    }
    "electra/beacon-chain.md", "Gwei values" {
        MIN_ACTIVATION_BALANCE = 32_000_000_000;
        MAX_EFFECTIVE_BALANCE_ELECTRA = 2_048_000_000_000;
    }
    "electra/beacon-chain.md", "Rewards and penalties" {
        MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA = 4096;
        WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA = 4096;
    }
    "electra/beacon-chain.md", "State list lengths" {
        PENDING_DEPOSITS_LIMIT = 134_217_728;
        PENDING_PARTIAL_WITHDRAWALS_LIMIT = 134_217_728;
        PENDING_CONSOLIDATIONS_LIMIT = 262144;
    }
    "electra/beacon-chain.md", "Max operations per block" {
        MAX_ATTESTER_SLASHINGS_ELECTRA = 1;
        MAX_ATTESTATIONS_ELECTRA = 8;
    }
    "electra/beacon-chain.md", "Execution" {
        MAX_DEPOSIT_REQUESTS_PER_PAYLOAD = 8192;
        MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD = 16;
        MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD = 2;
    }
    "electra/beacon-chain.md", "Withdrawals processing" {
        MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP = 8;
    }
    "electra/beacon-chain.md", "Pending deposits processing" {
        MAX_PENDING_DEPOSITS_PER_EPOCH = 16;
    }
    "fulu/p2p-interface.md", "Networking" {
        KZG_COMMITMENTS_INCLUSION_PROOF_DEPTH = 4;
    }
    "fulu/das-core.md", "Blob" {
        FIELD_ELEMENTS_PER_CELL = 64;
        FIELD_ELEMENTS_PER_EXT_BLOB = 8192;
        CELLS_PER_EXT_BLOB = 128;
        NUMBER_OF_COLUMNS = 128;
    }
    "gloas/beacon-chain.md", "Misc" {
        PTC_SIZE = 512;
    }
    "gloas/beacon-chain.md", "Max operations per block" {
        MAX_PAYLOAD_ATTESTATIONS = 4;
    }
    "gloas/beacon-chain.md", "Execution" {
        MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD = 64;
        MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD = 16;
    }
    "gloas/beacon-chain.md", "Withdrawals processing" {
        MAX_BUILDERS_PER_WITHDRAWALS_SWEEP = 16384;
    }
    "gloas/p2p-interface.md", "Type-specific SSZ bounds" {
        MAX_SIGNED_AGGREGATE_AND_PROOF_SIZE = 16829;
        MAX_ATTESTER_SLASHING_SIZE = 2_097_616;
        MAX_DATA_COLUMN_SIDECAR_SIZE = 8_585_272;
        MAX_PARTIAL_DATA_COLUMN_SIDECAR_SIZE = 8_585_741;
        MAX_SIGNED_EXECUTION_PAYLOAD_BID_SIZE = 196932;
    }
}
