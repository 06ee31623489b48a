//! What the kernel says of its clock: a call that no safe crate of ours offers. It stands in this crate because no other
//! one may call C.

/// Whether the kernel calls its clock synchronised: something (timesyncd, chrony, ntpd) keeps it, and has lately. `None`
/// where the kernel is not asked, or does not answer.
///
/// The call reads alone: `modes` is 0. See adjtimex(2), `STA_UNSYNC`.
pub fn clock_is_synchronised() -> Option<bool> {
    of_kernel()
}

#[cfg(all(target_os = "linux", any(target_env = "gnu", target_env = "musl")))]
fn of_kernel() -> Option<bool> {
    // SAFETY: the struct is made of integers alone, for which zeros are a value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a struct of the kernel's layout, which lives longer than the call.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    // A negative answer is a failure: a sandbox that forbids the call.
    (state >= 0).then_some(state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0)
}

#[cfg(not(all(target_os = "linux", any(target_env = "gnu", target_env = "musl"))))]
fn of_kernel() -> Option<bool> {
    None
}
