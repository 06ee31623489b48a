//! Namespace `validator`: what a validator client asks and hands in.

mod attest;
mod duties;
mod prepare;
mod propose;
mod sync_committee;

use super::ApiContext;
use super::http::Router;

pub(super) fn routes(router: &mut Router<ApiContext>) {
    duties::routes(router);
    attest::routes(router);
    sync_committee::routes(router);
    prepare::routes(router);
    propose::routes(router);
}
