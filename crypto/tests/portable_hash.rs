//! The portable kernel by request. In a process of its own, because the choice holds for a whole process.

use crypto::hash::{force_portable, hash2, kernel, sha256};

#[test]
fn the_portable_kernel_can_be_forced() {
    assert!(force_portable());
    assert_eq!(kernel().name, "portable x1");
    let (left, right) = ([1; 32], [2; 32]);
    assert_eq!(hash2(&left, &right), sha256(&[left, right].concat()));
    assert!(force_portable());
}
