//! The one visible list of what is not run, each entry with its reason.

use crate::source::CasePath;

/// Cases that are counted but not run. An empty part stands for any.
#[derive(Clone, Copy, Debug)]
pub struct Skip {
    /// Fork folder.
    pub fork: &'static str,
    /// Runner folder.
    pub runner: &'static str,
    /// Handler folder.
    pub handler: &'static str,
    /// Case folder.
    pub case: &'static str,
    /// Why, for the table.
    pub reason: &'static str,
}

impl Skip {
    /// Whether the case falls under this entry.
    pub fn covers(&self, path: &CasePath) -> bool {
        let fits = |wanted: &str, part: &str| wanted.is_empty() || wanted == part;
        fits(self.fork, path.fork())
            && fits(self.runner, path.runner())
            && fits(self.handler, path.handler())
            && fits(self.case, path.case())
    }
}

const fn handler(runner: &'static str, handler: &'static str, reason: &'static str) -> Skip {
    Skip {
        fork: "",
        runner,
        handler,
        case: "",
        reason,
    }
}

const fn fork(fork: &'static str) -> Skip {
    Skip {
        fork,
        runner: "",
        handler: "",
        case: "",
        reason: "beyond Gloas, the last fork this version knows",
    }
}

const NOT_EXPORTED: &str = "an inner value of a proof check, which the KZG library does not export";
/// Everything that is skipped.
pub const SKIPS: &[Skip] = &[
    handler("kzg", "compute_challenge", NOT_EXPORTED),
    handler("kzg", "compute_verify_cell_kzg_proof_batch_challenge", NOT_EXPORTED),
    fork("heze"),
    fork("eip6914"),
    fork("eip8025"),
    fork("eip8148"),
];
