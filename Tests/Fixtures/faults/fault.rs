//! The ways in which Rust fails.
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static ZERO: AtomicUsize = AtomicUsize::new(0);

#[inline(never)]
fn deeper(depth: usize) -> usize {
    if depth == usize::MAX {
        return 0;
    }
    let room = std::hint::black_box([depth; 256]);
    std::hint::black_box(deeper(depth.wrapping_add(1))) ^ room[depth & 255]
}

/// # Safety
/// `how` must have `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fault(how: *const u8, length: u64) {
    let zero = ZERO.load(Relaxed);
    match unsafe { std::slice::from_raw_parts(how, length as usize) } {
        b"null" => unsafe { std::ptr::write_volatile((8 + zero) as *mut usize, 1) },
        b"panic" => panic!("as it was asked to"),
        b"overflow" => ZERO.store(usize::MAX - zero + 1 + ZERO.load(Relaxed), Relaxed),
        b"abort" => std::process::abort(),
        b"stack" => ZERO.store(deeper(zero), Relaxed),
        b"loop" => while ZERO.load(Relaxed) == 0 {},
        _ => {}
    }
}
